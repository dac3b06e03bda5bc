package functionshost

import (
	"bytes"
	"io"
	"strings"
	"sync"
)

// output writes whole lines of several streams to one writer.
type output struct {
	mu sync.Mutex
	w  io.Writer
}

func (o *output) line(text string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, _ = io.WriteString(o.w, text+"\n") // the handler must not stop because nothing reads its output
}

const (
	longestLine = 64 << 10 // what has no line end by then is cut
	lastLines   = 3        // of stderr, told with a crash
)

// lines is one stream of the handler. It is used by one goroutine, and read with
// last after that has ended.
type lines struct {
	output *output
	errors bool // this is stderr
	rest   []byte
	tail   []string
}

// Write never fails.
func (l *lines) Write(p []byte) (int, error) {
	l.rest = append(l.rest, p...)
	for {
		line, rest, ok := bytes.Cut(l.rest, []byte("\n"))
		if !ok {
			break
		}
		l.emit(string(line))
		l.rest = rest
	}
	if len(l.rest) > longestLine {
		l.flush()
	}
	return len(p), nil
}

// flush writes a line that has no end yet.
func (l *lines) flush() {
	if len(l.rest) > 0 {
		l.emit(string(l.rest))
	}
	l.rest = nil
}

// emit marks lines of stderr by the level that the host gives them:
// WorkerProcess.ParseErrorMessageAndLog.
func (l *lines) emit(line string) {
	line = strings.TrimSuffix(line, "\r")
	if !l.errors {
		l.output.line(line)
		return
	}
	l.tail = append(l.tail, line)
	l.tail = l.tail[max(0, len(l.tail)-lastLines):]
	level := "[error] "
	if strings.Contains(strings.ToLower(line), "warn") {
		level = "[warning] "
	}
	l.output.line(level + line)
}

// last returns the last lines, each on a line of its own.
func (l *lines) last() string {
	if len(l.tail) == 0 {
		return ""
	}
	return "\n\t" + strings.Join(l.tail, "\n\t")
}
