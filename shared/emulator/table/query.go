package table

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"rekey/shared/emulator/fault"
)

// serveQuery answers one page of a range query.
func (s *Service) serveQuery(w http.ResponseWriter, r *http.Request, name string) {
	q := r.URL.Query()
	for option := range q {
		switch option {
		case "$filter", "$select", "$top", "$format", "NextPartitionKey", "NextRowKey", "timeout":
		default:
			s.fail(w, unsupported(fmt.Sprintf("This emulator has no query option %q.", option)))
			return
		}
	}
	want, f := parseFilter(q.Get("$filter"))
	if f != nil {
		s.fail(w, f)
		return
	}
	size := s.cfg.PageSize
	if top := q.Get("$top"); top != "" {
		n, err := strconv.Atoi(top)
		if err != nil || n < 1 || n > maxPage {
			s.fail(w, invalid("$top must be 1 to 1000."))
			return
		}
		size = min(size, n)
	}
	var selected []string
	if q.Get("$select") != "" {
		selected = strings.Split(q.Get("$select"), ",")
		for i := range selected {
			selected[i] = strings.TrimSpace(selected[i])
		}
	}
	var from position
	continued := q.Has("NextPartitionKey")
	if continued {
		if from, f = parsePosition(q.Get("NextPartitionKey"), q.Get("NextRowKey")); f != nil {
			s.fail(w, f)
			return
		}
	} else if s.cfg.EmptyPages {
		size = 0
	}
	switch fault.HintOf(r) {
	case fault.HintEmptyPage:
		size = 0
	case fault.HintShortPage:
		size = min(size, 1)
	}

	rows, next, f := s.page(name, want, from, size)
	if f != nil {
		s.fail(w, f)
		return
	}
	value := make([]map[string]any, len(rows))
	for i, found := range rows {
		value[i] = found.row.object(found.pk, selected)
	}
	if next != nil {
		w.Header().Set("x-ms-continuation-NextPartitionKey", token(next.pk))
		w.Header().Set("x-ms-continuation-NextRowKey", token(next.rk))
	}
	s.answer(w, http.StatusOK, map[string]any{
		"odata.metadata": "http://" + r.Host + "/$metadata#" + name,
		"value":          value,
	})
}

// position is where a page begins.
type position struct{ pk, rk string }

type found struct {
	pk  string
	row *row
}

// page returns up to size rows from a position on, and where the next page begins
// if there is more. Its cost depends on what it returns, not on what is stored.
func (s *Service) page(name string, want filter, from position, size int) (rows []found, next *position, f *failure) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	t := s.tables[name]
	if t == nil {
		return nil, nil, missing(name)
	}
	first, _ := t.find(max(from.pk, want.partition.low()))
	for _, p := range t.partitions[first:] {
		if want.partition.beyond(p.key) {
			break
		}
		if !want.partition.contains(p.key) {
			continue
		}
		start := want.row.low()
		if p.key == from.pk {
			start = max(start, from.rk)
		}
		i, _ := p.find(start)
		for _, r := range p.rows[i:] {
			if want.row.beyond(r.key) {
				break
			}
			if !want.row.contains(r.key) {
				continue
			}
			if len(rows) == size {
				return rows, &position{p.key, r.key}, nil
			}
			rows = append(rows, found{p.key, r})
		}
	}
	return rows, nil, nil
}

// token is a continuation token. It is opaque on purpose: a client that takes it
// for a key goes wrong here, as it would in Azure.
func token(key string) string {
	return "1!" + base64.URLEncoding.EncodeToString([]byte(key))
}

func parsePosition(pk, rk string) (position, *failure) {
	var keys [2]string
	for i, t := range []string{pk, rk} {
		encoded, ok := strings.CutPrefix(t, "1!")
		key, err := base64.URLEncoding.DecodeString(encoded)
		if !ok || err != nil {
			return position{}, invalid("The continuation token is not one of this service.")
		}
		keys[i] = string(key)
	}
	return position{keys[0], keys[1]}, nil
}
