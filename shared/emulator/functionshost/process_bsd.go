//go:build unix && !linux

package functionshost

import "syscall"

// processAttributes puts the handler into a process group of its own, so that
// Ctrl-C reaches the host only, which then decides.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
