package stack

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net"
	"net/http"
	"sync"
	"time"

	"rekey/shared/emulator/directory"
	"rekey/shared/emulator/fault"
)

// Admin is the fault API: it makes the services misbehave, and tells what is really
// in them, for a caller in another process. It is open to every caller that reaches it,
// which is why it listens on loopback only and refuses what a web page could send.
//
//	POST   /faults                       a [fault.Plan], in place of the present one
//	GET    /faults                       the plan, and how often each rule has taken effect
//	DELETE /faults                       behave again
//	GET    /kinds                        the kinds of faults
//	GET    /calls                        calls by operation, and writes by quota
//	POST   /propagation                  {"max":"10m","replicas":4,"seed":1}: max at most 10m
//	POST   /quotas                       {"enforced":true,"silent":false}: the documented ones
//	POST   /applications                 {"name":"billing"}: registers a sample, answers with its secret
//	PATCH  /applications/{id}            {"audience","policy":{"forbidden","maxLifetime"},"roles","owners","maxPasswords","disabled"}
//	GET    /applications/{id}/passwords  the client secrets that it has, without values
//	GET    /vault/{name}                 the versions in the vault, without values: which of them authenticate, as whom
//
// {id} is an object id. Bodies are JSON objects without unknown members; durations are
// Go's, such as "1m30s". A refusal is {"error":"..."}.
func (s *Stack) Admin() http.Handler {
	mux := http.NewServeMux()
	for pattern, answer := range map[string]func(*http.Request) (any, error){
		"POST /faults":                     s.postFaults,
		"GET /faults":                      s.getFaults,
		"DELETE /faults":                   s.deleteFaults,
		"GET /kinds":                       func(*http.Request) (any, error) { return fault.Kinds(), nil },
		"GET /calls":                       s.getCalls,
		"POST /propagation":                s.postPropagation,
		"POST /quotas":                     s.postQuotas,
		"POST /applications":               s.postApplications,
		"PATCH /applications/{id}":         s.patchApplication,
		"GET /applications/{id}/passwords": s.getPasswords,
		"GET /vault/{name}":                s.getVault,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if !fromHere(r) {
				writeAnswer(w, http.StatusForbidden, refusal{"the fault API is for this machine only"})
				return
			}
			body, err := answer(r)
			switch {
			case errors.Is(err, errUnknown):
				writeAnswer(w, http.StatusNotFound, refusal{err.Error()})
			case err != nil:
				writeAnswer(w, http.StatusBadRequest, refusal{err.Error()})
			default:
				writeAnswer(w, http.StatusOK, body)
			}
		})
	}
	return mux
}

type refusal struct {
	Error string `json:"error"`
}

var errUnknown = errors.New("there is no such thing")

// fromHere refuses what a page in a browser could send: a name that was made to
// resolve to this machine, or a request from another origin.
func fromHere(r *http.Request) bool {
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	ip := net.ParseIP(host)
	return (host == "localhost" || ip != nil && ip.IsLoopback()) && r.Header.Get("Origin") == ""
}

func writeAnswer(w http.ResponseWriter, status int, body any) {
	data, err := json.MarshalIndent(body, "", "  ")
	if err != nil {
		panic(err) // of strings, numbers, times and lists of them
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(append(data, '\n'))
}

// maxBody bounds what is read of a request.
const maxBody = 1 << 20

// read reads the one JSON object of a request's body.
func read(r *http.Request, into any) error {
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return errors.New("the content type has to be application/json")
	}
	decoder := json.NewDecoder(io.LimitReader(r.Body, maxBody))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return fmt.Errorf("reading the body: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("the body has more than one value")
	}
	return nil
}

// faults is the plan that is being played.
type faults struct {
	Seed  uint64            `json:"seed"`
	Rules []fault.RuleState `json:"rules"`
}

func (s *Stack) postFaults(r *http.Request) (any, error) {
	var plan fault.Plan
	if err := read(r, &plan); err != nil {
		return nil, err
	}
	if err := s.Play(plan); err != nil {
		return nil, err
	}
	return s.getFaults(r)
}

func (s *Stack) getFaults(*http.Request) (any, error) {
	now := s.broken.Load()
	if now == nil || now.schedule == nil {
		return faults{Rules: []fault.RuleState{}}, nil
	}
	return faults{now.seed, now.schedule.State()}, nil
}

func (s *Stack) deleteFaults(r *http.Request) (any, error) {
	s.Break(nil)
	return s.getFaults(r)
}

// counter counts calls by operation.
type counter struct {
	mu sync.Mutex
	of map[string]int
}

func (c *counter) add(op string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of == nil {
		c.of = map[string]int{}
	}
	c.of[op]++
}

func (c *counter) all() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.of)
}

// Calls returns how many calls reached each operation of each service, failed ones
// included. What an operation refuses for want of a token counts where the service
// finds out only while it carries it out, as Graph does.
func (s *Stack) Calls() map[string]int { return s.calls.all() }

func (s *Stack) getCalls(*http.Request) (any, error) {
	writes := s.Directory.Writes()
	return map[string]any{
		"calls": s.Calls(),
		"writes": map[string]any{
			"asked": writes.Asked,
			"throttled": map[string]int{
				"application": writes.Application, "tenant": writes.Tenant, "personal": writes.Personal,
			},
		},
	}, nil
}

// maxPropagation is the longest that has been reported.
const maxPropagation = 10 * time.Minute

func (s *Stack) postPropagation(r *http.Request) (any, error) {
	var p struct {
		Max      fault.Duration `json:"max"`
		Replicas int            `json:"replicas"`
		Seed     uint64         `json:"seed"`
	}
	if err := read(r, &p); err != nil {
		return nil, err
	}
	if p.Max < 0 || time.Duration(p.Max) > maxPropagation || p.Replicas < 0 || p.Replicas > 100 {
		return nil, fmt.Errorf("max is from 0 to %s, replicas from 0 to 100", maxPropagation)
	}
	s.Directory.SetPropagation(directory.Propagation{Max: time.Duration(p.Max), Replicas: p.Replicas, Seed: p.Seed})
	return p, nil
}

func (s *Stack) postQuotas(r *http.Request) (any, error) {
	var q struct {
		Enforced bool `json:"enforced"`
		Silent   bool `json:"silent"`
	}
	if err := read(r, &q); err != nil {
		return nil, err
	}
	quotas := directory.Quotas{}
	if q.Enforced {
		quotas = directory.DocumentedQuotas()
	}
	quotas.Silent = q.Silent
	s.Directory.SetQuotas(quotas)
	return q, nil
}
