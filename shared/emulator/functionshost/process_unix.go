//go:build unix

package functionshost

import (
	"errors"
	"os"
	"syscall"
)

// killGroup kills the handler and whatever it started.
func killGroup(p *os.Process) error {
	err := syscall.Kill(-p.Pid, syscall.SIGKILL)
	if errors.Is(err, syscall.ESRCH) {
		return os.ErrProcessDone
	}
	return err
}
