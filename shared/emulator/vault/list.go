package vault

import (
	"cmp"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
)

// pageSize is the most that one page holds, and what it holds if the client does
// not say.
const pageSize = 25

// listVersions lists by version id, as Key Vault does (nagyesta/lowkey-vault#467),
// and that says nothing about age.
func (v *Vault) listVersions(w http.ResponseWriter, r *http.Request, name string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	var all []bundle
	if s, phase := v.find(name); phase == live {
		for _, ver := range s.versions {
			all = append(all, ver.bundle(r, s.name, true))
		}
	}
	writePage(w, r, all)
}

// listSecrets lists the latest version of every live secret, without version ids.
func (v *Vault) listSecrets(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	var all []bundle
	for name := range v.secrets {
		if s, phase := v.find(name); phase == live {
			all = append(all, s.latest().bundle(r, s.name, false))
		}
	}
	writePage(w, r, all)
}

// writePage sorts all by id and answers with the page that r asks for. A page goes
// on after the last id of the one before, so that no writer in between makes a
// reader miss or repeat anything.
func writePage(w http.ResponseWriter, r *http.Request, all []bundle) {
	size, after, err := paging(r.URL.Query())
	if err != nil {
		writeError(w, http.StatusBadRequest, "BadParameter", err.Error())
		return
	}
	slices.SortFunc(all, func(a, b bundle) int { return cmp.Compare(a.ID, b.ID) })
	first, found := slices.BinarySearchFunc(all, after, func(b bundle, id string) int { return cmp.Compare(b.ID, id) })
	if found {
		first++
	}
	rest := all[first:]
	p := page{Value: slices.Clone(rest[:min(size, len(rest))])}
	if p.Value == nil {
		p.Value = []bundle{}
	}
	if len(rest) > size {
		q := r.URL.Query()
		q.Set("$skiptoken", base64.RawURLEncoding.EncodeToString([]byte(p.Value[size-1].ID)))
		next := "https://" + r.Host + r.URL.Path + "?" + q.Encode()
		p.NextLink = &next
	}
	writeJSON(w, http.StatusOK, p)
}

// paging reads the page size and the id after which the page begins.
func paging(q url.Values) (size int, after string, err error) {
	size = pageSize
	if s := q.Get("maxresults"); s != "" {
		size, err = strconv.Atoi(s)
		if err != nil || size < 1 || size > pageSize {
			return 0, "", errors.New("maxresults must be a number from 1 to 25")
		}
	}
	token, err := base64.RawURLEncoding.DecodeString(q.Get("$skiptoken"))
	if err != nil {
		return 0, "", errors.New("the skip token is malformed")
	}
	return size, string(token), nil
}
