package table

import (
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// operation is one request about one entity, alone or within a transaction.
type operation struct {
	kind       string // OpInsert, OpGet, OpMerge, OpReplace or OpDelete
	table      string
	pk, rk     string
	ifMatch    string // empty: a merge or replace inserts if there is no row
	properties []property
}

var entityPath = regexp.MustCompile(`^/([A-Za-z][A-Za-z0-9]{2,62})\(PartitionKey='((?:[^']|'')*)',RowKey='((?:[^']|'')*)'\)$`)

// parseOperation reads a request about one entity; path is decoded and without
// the account.
func parseOperation(method, path string, header http.Header, body []byte) (operation, *failure) {
	o := operation{ifMatch: header.Get("If-Match")}
	if m := entityPath.FindStringSubmatch(path); m != nil {
		o.table, o.pk, o.rk = m[1], strings.ReplaceAll(m[2], "''", "'"), strings.ReplaceAll(m[3], "''", "'")
		switch method {
		case http.MethodGet:
			o.kind = OpGet
			return o, o.check()
		case http.MethodDelete:
			o.kind = OpDelete
			if o.ifMatch == "" {
				return o, &failure{http.StatusBadRequest, "MissingRequiredHeader", "A delete needs the header If-Match."}
			}
			return o, o.check()
		case http.MethodPatch, "MERGE":
			o.kind = OpMerge
		case http.MethodPut:
			o.kind = OpReplace
		}
	} else if m := collection.FindStringSubmatch(path); m != nil && method == http.MethodPost {
		o.kind, o.table = OpInsert, m[1]
	}
	if o.kind == "" {
		return o, unsupported(fmt.Sprintf("This emulator has no %s on %q.", method, path))
	}
	e, f := parseEntity(body)
	if f != nil {
		return o, f
	}
	switch {
	case o.kind == OpInsert && !(e.hasPK && e.hasRK):
		return o, &failure{http.StatusBadRequest, "PropertiesNeedValue", "The values are not specified for all properties in the entity."}
	case o.kind == OpInsert:
		o.pk, o.rk = e.pk, e.rk
	case e.hasPK && e.pk != o.pk || e.hasRK && e.rk != o.rk:
		return o, invalid("The keys in the body are not those of the address.")
	}
	o.properties = e.properties
	return o, o.check()
}

// check applies the limits that do not depend on what is stored.
func (o *operation) check() *failure {
	if f := checkKey("PartitionKey", o.pk); f != nil {
		return f
	}
	if f := checkKey("RowKey", o.rk); f != nil {
		return f
	}
	return checkSize(o.pk, o.rk, o.properties)
}

// apply carries o out and returns the row as it is then and as it was before, each
// nil if there is none. The caller holds s.mu for writing.
func (s *Service) apply(o operation) (now, before *row, f *failure) {
	t := s.tables[o.table]
	if t == nil {
		return nil, nil, missing(o.table)
	}
	before = t.get(o.pk, o.rk)
	if f := o.condition(before); f != nil {
		return nil, nil, f
	}
	switch o.kind {
	case OpGet:
		return before, before, nil
	case OpDelete:
		t.put(o.pk, o.rk, nil)
		return nil, before, nil
	}
	next := &row{key: o.rk, properties: o.properties}
	if o.kind == OpMerge && before != nil {
		next.properties = merge(before.properties, o.properties)
		if f := checkSize(o.pk, o.rk, next.properties); f != nil {
			return nil, nil, f
		}
	}
	next.tick = s.nextTick()
	t.put(o.pk, o.rk, next)
	return next, before, nil
}

// condition decides whether o may be done where before is stored.
func (o *operation) condition(before *row) *failure {
	switch {
	case o.kind == OpInsert:
		if before != nil {
			return &failure{http.StatusConflict, "EntityAlreadyExists", "The specified entity already exists."}
		}
		return nil
	case o.ifMatch == "" && o.kind != OpGet: // insert or merge, insert or replace
		return nil
	case before == nil:
		return &failure{http.StatusNotFound, "ResourceNotFound", "The specified resource does not exist."}
	case o.kind != OpGet && o.ifMatch != "*" && o.ifMatch != before.etag():
		return &failure{http.StatusPreconditionFailed, "UpdateConditionNotSatisfied",
			"The update condition specified in the request was not satisfied."}
	}
	return nil
}

// merge returns old with the properties of changes in place or added.
func merge(old, changes []property) []property {
	byName := make(map[string]property, len(old)+len(changes))
	for _, p := range old {
		byName[p.name] = p
	}
	for _, p := range changes {
		byName[p.name] = p
	}
	out := make([]property, 0, len(byName))
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		out = append(out, byName[name])
	}
	return out
}
