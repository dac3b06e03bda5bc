//go:build unix

package lambdaruntime

import (
	"errors"
	"os"
	"syscall"
)

// processAttributes puts the program into a process group of its own, so that
// signals reach all of it and nothing else.
func processAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// freeze and thaw do what Lambda does between events. A process that has ended is
// found out about by its end.
func freeze(p *os.Process) { _ = syscall.Kill(-p.Pid, syscall.SIGSTOP) }
func thaw(p *os.Process)   { _ = syscall.Kill(-p.Pid, syscall.SIGCONT) }

func killGroup(p *os.Process) error {
	err := syscall.Kill(-p.Pid, syscall.SIGKILL)
	if errors.Is(err, syscall.ESRCH) {
		return os.ErrProcessDone
	}
	return err
}
