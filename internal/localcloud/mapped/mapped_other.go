//go:build !linux

package mapped

// Forget does nothing here: the machine takes such pages itself when it needs them.
func Forget(uintptr, int64) {}

// ForgetProgram does nothing here either.
func ForgetProgram() {}

// Files is unknown here.
func Files() int64 { return 0 }
