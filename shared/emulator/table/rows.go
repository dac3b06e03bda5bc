package table

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// table holds its rows in the order in which the real service keeps them: by
// PartitionKey, then by RowKey, both ordinal.
type table struct {
	partitions []*partition
}

type partition struct {
	key  string
	rows []*row
}

// row is never changed once it is stored; a write replaces it. So code that found it
// may read it without a lock, and a transaction is undone by putting it back.
type row struct {
	key        string
	tick       int64 // of its last write, in 100 ns since 1970
	properties []property
}

// find returns where the partition is, or where it would be.
func (t *table) find(pk string) (int, bool) {
	return slices.BinarySearchFunc(t.partitions, pk, func(p *partition, key string) int { return strings.Compare(p.key, key) })
}

func (p *partition) find(rk string) (int, bool) {
	return slices.BinarySearchFunc(p.rows, rk, func(r *row, key string) int { return strings.Compare(r.key, key) })
}

func (t *table) get(pk, rk string) *row {
	i, ok := t.find(pk)
	if !ok {
		return nil
	}
	p := t.partitions[i]
	if j, ok := p.find(rk); ok {
		return p.rows[j]
	}
	return nil
}

// put stores r, or removes the row if r is nil.
func (t *table) put(pk, rk string, r *row) {
	p := t.partition(pk)
	j, ok := p.find(rk)
	switch {
	case r == nil && ok:
		p.rows = slices.Delete(p.rows, j, j+1)
	case r != nil && ok:
		p.rows[j] = r
	case r != nil:
		p.rows = slices.Insert(p.rows, j, r)
	}
}

// partition returns the partition, made if need be.
func (t *table) partition(pk string) *partition {
	i, ok := t.find(pk)
	if !ok {
		t.partitions = slices.Insert(t.partitions, i, &partition{key: pk})
	}
	return t.partitions[i]
}

func (r *row) timestamp() string {
	return time.Unix(0, r.tick*100).UTC().Format("2006-01-02T15:04:05.0000000Z")
}

func (r *row) etag() string {
	return `W/"datetime'` + strings.ReplaceAll(r.timestamp(), ":", "%3A") + `'"`
}

// object is the row as a client sees it; selected names the wanted properties, nil
// means all. A selected property that the row lacks is null.
func (r *row) object(pk string, selected []string) map[string]any {
	all := map[string]any{"PartitionKey": pk, "RowKey": r.key, "Timestamp": r.timestamp()}
	edm := map[string]string{}
	for _, p := range r.properties {
		all[p.name] = p.value
		if p.edm != "" && p.edm != "Edm.String" {
			edm[p.name] = p.edm
		}
	}
	if selected == nil {
		for name, typ := range edm {
			all[name+"@odata.type"] = typ
		}
		return all
	}
	some := make(map[string]any, len(selected))
	for _, name := range selected {
		some[name] = all[name]
		if typ := edm[name]; typ != "" {
			some[name+"@odata.type"] = typ
		}
	}
	return some
}

// Row is a stored entity. A property is what its JSON decodes to: a string, a
// float64 or a bool.
type Row struct {
	Table        string
	PartitionKey string
	RowKey       string
	ETag         string // not used by [Service.Load]
	Properties   map[string]any
}

// Rows returns all rows of all tables whose RowKey begins with prefix, in order.
func (s *Service) Rows(prefix string) []Row {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []Row
	for _, name := range slices.Sorted(maps.Keys(s.tables)) {
		for _, p := range s.tables[name].partitions {
			from, _ := p.find(prefix)
			for _, r := range p.rows[from:] {
				if !strings.HasPrefix(r.key, prefix) {
					break
				}
				out = append(out, r.exported(name, p.key))
			}
		}
	}
	return out
}

func (r *row) exported(table, pk string) Row {
	out := Row{Table: table, PartitionKey: pk, RowKey: r.key, ETag: r.etag(), Properties: map[string]any{}}
	for _, p := range r.properties {
		var value any
		if err := json.Unmarshal(p.value, &value); err != nil {
			panic(err) // it was decoded when it was stored
		}
		out.Properties[p.name] = value
	}
	return out
}

// Load stores rows at once, in place of those that have their keys, and makes the
// tables they name. It sorts once, so that a million rows are a matter of seconds,
// and checks what an insert would have checked.
func (s *Service) Load(rows []Row) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	touched := map[*partition]bool{}
	for _, in := range rows {
		body, err := json.Marshal(in.Properties)
		if err != nil {
			return fmt.Errorf("loading %s: %w", in.RowKey, err)
		}
		var e entity
		if in.Properties != nil {
			var f *failure
			if e, f = parseEntity(body); f != nil {
				return fmt.Errorf("loading %s: %s", in.RowKey, f.message)
			}
		}
		o := operation{kind: OpReplace, table: in.Table, pk: in.PartitionKey, rk: in.RowKey, properties: e.properties}
		if f := o.check(); f != nil {
			return fmt.Errorf("loading %s: %s", in.RowKey, f.message)
		}
		t := s.tables[in.Table]
		if t == nil {
			t = &table{}
			s.tables[in.Table] = t
		}
		p := t.partition(in.PartitionKey)
		p.rows = append(p.rows, &row{key: in.RowKey, tick: s.nextTick(), properties: e.properties})
		touched[p] = true
	}
	for p := range touched {
		p.settle()
	}
	return nil
}

// settle restores the order after rows were appended; of two with one key the
// later stays.
func (p *partition) settle() {
	slices.SortStableFunc(p.rows, func(a, b *row) int { return strings.Compare(a.key, b.key) })
	kept := p.rows[:0]
	for _, r := range p.rows {
		if n := len(kept); n > 0 && kept[n-1].key == r.key {
			kept[n-1] = r
			continue
		}
		kept = append(kept, r)
	}
	clear(p.rows[len(kept):])
	p.rows = kept
}
