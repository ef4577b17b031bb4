// Package exact holds the platform to one promise: whatever is killed, every use is in the ledger once.
package exact
