// Package lifecycle has tests only, a black box over Rekey: whole lives of connections and
// targets, by requests to the programs that are deployed. They observe the HTTP API, the
// vault, the directory and the table, and know nothing of the code in between: they import
// the emulators and the standard library only (TestBlackBox), so that they stay as they are
// while the code changes.
//
// The programs are built without the race detector, once for the whole package. Every
// story runs on the built-in Functions host with the staged app; the stories that name
// more platforms also run on the unpacked Azure package, in both modes, and on the Lambda
// package. A deployed program has no clock that a test could put forward. So what comes
// after a whole interval, the schedule's own slot, is beyond these stories: they check
// when it is announced for, and let the timer do all that becomes due within seconds.
package lifecycle
