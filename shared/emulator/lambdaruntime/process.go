package lambdaruntime

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

// state is where the program is between two requests of its own.
type state int

const (
	initializing state = iota // has not asked for an event yet
	idle                      // waits for an event, standing still
	working                   // has one
	answered                  // has answered it, and not asked for the next
	failedInit                // has reported that it cannot start
)

func (s state) String() string {
	return [...]string{"Initializing", "Ready", "Running", "Responded", "InitError"}[s]
}

// invocation is one event on its way.
type invocation struct {
	id       string
	event    []byte
	deadline time.Time

	done    chan struct{} // closed when one of the next two is set
	result  []byte
	failure *FunctionError
}

func newInvocation(id string, event []byte, deadline time.Time) *invocation {
	return &invocation{id: id, event: event, deadline: deadline, done: make(chan struct{})}
}

// process is one life of the program.
type process struct {
	cmd    *exec.Cmd
	next   chan *invocation
	ready  chan struct{} // closed when it asked for its first event
	exited chan struct{}
	exit   error // why; read after exited

	mu       sync.Mutex
	state    state
	current  *invocation
	initFail *FunctionError
	quiet    chan struct{} // has a value when it asked for the next event after an answer
}

func startProcess(c Config, api string) (*process, error) {
	p := &process{next: make(chan *invocation, 1), ready: make(chan struct{}), exited: make(chan struct{}), quiet: make(chan struct{}, 1)}
	root, err := filepath.Abs(c.Root)
	if err != nil {
		return nil, err
	}
	p.cmd = exec.Command(filepath.Join(root, "bootstrap"))
	p.cmd.Dir = root
	p.cmd.Env = environment(c, api, root)
	p.cmd.Stdout, p.cmd.Stderr = c.Output, c.Output
	p.cmd.SysProcAttr = processAttributes()
	p.cmd.WaitDelay = time.Second
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.exit = p.cmd.Wait()
		if p.exit == nil {
			p.exit = errors.New("exit status 0")
		}
		close(p.exited)
	}()
	return p, nil
}

// environment is what Lambda sets, and nothing of our own.
// Source: docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html.
func environment(c Config, api, root string) []string {
	return append([]string{
		"_HANDLER=bootstrap", "AWS_LAMBDA_RUNTIME_API=" + api, "LAMBDA_TASK_ROOT=" + root, "LAMBDA_RUNTIME_DIR=/var/runtime",
		"AWS_LAMBDA_FUNCTION_NAME=rekey", "AWS_LAMBDA_FUNCTION_VERSION=$LATEST", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE=256",
		"AWS_LAMBDA_INITIALIZATION_TYPE=on-demand", "AWS_LAMBDA_LOG_GROUP_NAME=/aws/lambda/rekey", "AWS_LAMBDA_LOG_STREAM_NAME=local",
		"AWS_REGION=" + c.Region, "AWS_DEFAULT_REGION=" + c.Region,
		"AWS_ACCESS_KEY_ID=" + c.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + c.SecretAccessKey, "AWS_SESSION_TOKEN=" + c.SessionToken,
		"PATH=/usr/local/bin:/usr/bin/:/bin:/opt/bin", "LANG=en_US.UTF-8", "TZ=:UTC",
	}, c.Env...)
}

// give hands an event to a process that waits for one.
func (p *process) give(i *invocation) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state != idle && p.state != answered {
		return fmt.Errorf("the runtime is in the state %s", p.state)
	}
	thaw(p.cmd.Process)
	p.next <- i // it has room, as there is one event at a time
	return nil
}

// settle waits until the process has asked for its next event, which ends an
// invocation, and lets it stand still then. It reports whether that was in time.
func (p *process) settle(timeout <-chan time.Time) bool {
	select {
	case <-p.quiet:
		freeze(p.cmd.Process)
	case <-p.exited: // the next event will find a new one
	case <-timeout:
		return false
	}
	return true
}

// kill needs no error: its caller waits for the end.
func (p *process) kill() { _ = killGroup(p.cmd.Process) }

func (p *process) alive() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// initError says why a process ended before its first event.
func (p *process) initError() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.initFail != nil {
		return p.initFail
	}
	return &FunctionError{ErrorExit, fmt.Sprintf("Error: Runtime exited with error: %v", p.exit)}
}
