// Package conformance holds one suite for Cloudflare's API as our tools use it, run on the local cloud and, with -tags live, on a real account.
package conformance
