package connection_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"rekey/shared/connection"
	"rekey/shared/rotation"
	"rekey/shared/serviceerror"
)

// tenant has that many applications, and pages that are not always full.
type tenant struct {
	count, short int
	sizes        []int // that were asked for
}

func (a *tenant) Applications(
	_ context.Context, _ rotation.Token, search, cursor string, limit int,
) (list []rotation.ApplicationState, next string, err error) {
	a.sizes = append(a.sizes, limit)
	from, err := strconv.Atoi("0" + cursor)
	if err != nil {
		return nil, "", &serviceerror.Error{Class: serviceerror.Invalid}
	}
	to := min(from+limit-a.short, a.count)
	for i := from; i < to; i++ {
		list = append(list, rotation.ApplicationState{DisplayName: search + strconv.Itoa(i)})
	}
	if to < a.count {
		next = strconv.Itoa(to)
	}
	return list, next, nil
}

// However many applications there are, an answer has no more than was asked for, and its
// cursor leads to the rest.
func TestClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t)
		withParent(t, s)
		for _, tt := range []struct {
			limit, count, short int
			pages               string // how many on each
			sizes               string
		}{
			{0, 30, 0, "30", "500"},
			{0, 1000, 0, "1000", "500 500"},
			{0, 2300, 0, "1000 1000 300", "500 500 500 500 500"},
			{0, 700, 200, "600 100", "500 500 500"},
			{1000, 1200, 0, "1000 200", "500 500 500"},
			{700, 1200, 0, "500 500 200", "500 500 500"},
			{400, 1000, 0, "400 400 200", "400 400 400"},
			{2, 3, 1, "1 1 1", "2 2 2"},
		} {
			apps := &tenant{count: tt.count, short: tt.short}
			service := service(s.w)
			service.Applications = apps
			var pages []string
			for q := (connection.ClientQuery{Search: " n ", Limit: tt.limit}); ; {
				got, err := service.Clients(t.Context(), s.parent, q)
				if err != nil {
					t.Fatal(err)
				}
				pages = append(pages, strconv.Itoa(len(got.Clients)))
				if q.Cursor = got.Next; q.Cursor == "" {
					break
				}
			}
			if p, z := strings.Join(pages, " "), strings.Trim(fmt.Sprint(apps.sizes), "[]"); p != tt.pages || z != tt.sizes {
				t.Errorf("%+v: pages %s, asked for %s", tt, p, z)
			}
		}
		service := service(s.w)
		if _, err := service.Clients(t.Context(), s.parent, connection.ClientQuery{}); kindOf(err) != connection.Unavailable {
			t.Errorf("without a list: %v", err)
		}
		service.Applications = &tenant{}
		for _, q := range []connection.ClientQuery{{Cursor: "x"}, {Search: "a\nb"}, {Search: strings.Repeat("x", 257)}} {
			if _, err := service.Clients(t.Context(), s.parent, q); kindOf(err) != connection.Invalid {
				t.Errorf("%+v: %v", q, err)
			}
		}
	})
}
