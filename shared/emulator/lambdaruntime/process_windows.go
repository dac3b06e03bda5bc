package lambdaruntime

import (
	"os"
	"syscall"
)

func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}

// Windows has no way of letting a process stand still.
func freeze(*os.Process) {}
func thaw(*os.Process)   {}

func killGroup(p *os.Process) error { return p.Kill() }
