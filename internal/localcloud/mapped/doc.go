// Package mapped gives back what this process holds of files that it has mapped: the pages stay in the machine's cache, and whoever
// reads on finds them there.
package mapped
