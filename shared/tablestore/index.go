package tablestore

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"

	"rekey/shared/index"
	"rekey/shared/rotation"
)

// Records lie in the order of hashed ids. So that a list, a search or a count costs what it shows,
// each record has rows beside it, which say what package index keeps of it and change with it, in
// one transaction:
//
//	list-, tlist-     its place among all connections, or among all targets
//	plist-, tplist-   among those of its project
//	attn-, tattn-     from when on a person should look at it
//	next-             when it rotates next
//	ends-             when its client secret ends
//
// A transaction writes those that are not as they were and deletes those that are no more. What was
// there follows from the record as it was read.

const (
	listPrefix          = "list-"
	projectListPrefix   = "plist-"
	attentionPrefix     = "attn-"
	nextPrefix          = "next-"
	endsPrefix          = "ends-"
	ofTargets           = "t" // before the others, of targets
	maxIndexed          = 512 // characters of a text that only a damaged record has longer
	indexedText         = "text"
	indexedStates       = "states"
	indexedProject      = "project"
	indexedCredential   = "credential"
	searchedProperties  = "RowKey," + indexedText + "," + indexedStates
	attentionProperties = searchedProperties + "," + indexedProject
)

// indexRow is what a row of the index holds beside its key.
type indexRow struct {
	Text       string `json:"text,omitempty"`
	States     string `json:"states,omitempty"`
	Project    string `json:"project,omitempty"`
	Credential string `json:"credential,omitempty"`
}

func (r indexRow) properties() map[string]any {
	properties := map[string]any{}
	for name, text := range map[string]string{
		indexedText: r.Text, indexedStates: r.States, indexedProject: r.Project, indexedCredential: r.Credential,
	} {
		if text != "" {
			properties[name] = text
		}
	}
	return properties
}

// indexRows are the rows beside a record, by their keys.
type indexRows map[string]indexRow

// encode returns the rows as a record's handle has them.
func (r indexRows) encode() string {
	text, _ := json.Marshal(r) // strings only
	return string(text)
}

// kind is what the prefixes of connections or of targets begin with.
func kind(targets bool) string {
	if targets {
		return ofTargets
	}
	return ""
}

// rowsOf returns the rows beside a record.
func rowsOf(rec *rotation.Record) indexRows {
	e := index.Of(rec)
	of, at, row := kind(e.Target), listedAt(e.Name, e.ID), indexRow{Text: e.Text, States: e.States}
	rows := indexRows{of + listPrefix + at: row, of + projectList(e.Project) + at: row}
	if from := timeKey(e.Attention); from != "" {
		row.Project = e.Project
		rows[of+attentionPrefix+from+"-"+at] = row
	}
	if due := timeKey(e.Due); due != "" {
		rows[nextPrefix+due+"-"+e.ID] = indexRow{}
	}
	if ends := timeKey(e.Ends); ends != "" {
		credential := e.Credential[:min(len(e.Credential), maxIndexed)]
		rows[endsPrefix+ends+"-"+e.ID] = indexRow{Credential: strings.ToValidUTF8(credential, "")}
	}
	return rows
}

func projectList(project string) string { return projectListPrefix + digest(project) + "-" }

// timeKey is a moment in a key, in whole seconds and never later than it is; empty for none, and for
// one that is too far away for a key.
func timeKey(at time.Time) string {
	switch at = at.UTC(); {
	case at.IsZero(), at.Year() > 9999:
		return ""
	case at.Year() < 1:
		at = time.Time{}.Add(time.Second)
	}
	return at.Format(dueLayout)
}

// addIndex makes the rows beside the record what they have to be.
func (c *change) addIndex(t *transaction, d drift) {
	was, is := c.indexed(), indexRows{}
	if c.kind != aztables.TransactionTypeDelete {
		is = rowsOf(&c.rec)
	}
	for _, key := range slices.Sorted(maps.Keys(was)) {
		if _, stays := is[key]; !stays && !d.unindexed[key] {
			t.add(aztables.TransactionTypeDelete, key, string(azcore.ETagAny), nil)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(is)) {
		if row, there := was[key]; !there || row != is[key] {
			t.add(aztables.TransactionTypeInsertReplace, key, "", is[key].properties())
		}
	}
}

// indexed returns the rows that were beside the record when it was read.
func (c *change) indexed() (rows indexRows) {
	_ = json.Unmarshal([]byte(c.rec.Handle.Index), &rows) // what this package has encoded
	return rows
}

// lookIndex finds out which of the rows that would be deleted are not there.
func (s *Store) lookIndex(ctx context.Context, op string, c change, d *drift) error {
	is := indexRows{}
	if c.kind != aztables.TransactionTypeDelete {
		is = rowsOf(&c.rec)
	}
	d.unindexed = map[string]bool{}
	for key := range c.indexed() {
		if _, stays := is[key]; stays {
			continue
		}
		_, found, e := s.get(ctx, op, partitionKey(c.rec.ID), key)
		if e != nil {
			return e
		}
		d.unindexed[key] = !found
	}
	return nil
}
