//go:build consolecheck

// Package consolecheck goes through the console in a headless Chromium, with the staged app under the
// built-in Functions host and emulated services: every action by mouse, by keyboard alone and without
// JavaScript; every page light, dark and narrow; worlds of no, one, 200 and 10,000 connections; every way
// of signing in. `make console-check` runs it, or with RUN a part of it. It takes minutes, so that make
// test leaves it out, and only checks that it compiles.
package consolecheck
