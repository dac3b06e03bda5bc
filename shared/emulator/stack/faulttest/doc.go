// Package faulttest holds, as tests, what Rekey's adapters make of every kind of
// fault that the emulators know: the class of the error, whether the outcome is
// known, how long the service asked to wait, that a write is sent once, and whether
// it landed. Each kind has its rows; a kind without any fails the tests.
//
// It is a package of its own because it is the only one of the emulators' that needs
// msgraph-sdk-go, whose compilation takes minutes and gigabytes.
package faulttest
