package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"rekey/shared/rebuild"
)

// show prints a line for each connection, then what there is to say about some, and a
// summary.
func show(out io.Writer, plan *rebuild.Plan, wrote bool) error {
	var b strings.Builder
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "CONNECTION\tNAME\tAPPLICATION\tCURRENT KEY ID\tOUTCOME\tTO REMOVE\tBY PERSON")
	for _, c := range plan.Connections {
		rec := c.Record
		key := ""
		if rec.Current != nil {
			key = cmp.Or(rec.Current.KeyID, "unknown")
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%d\t%d\n", c.ID, or(c.Name), or(cmp.Or(rec.Target.ClientID, rec.Actor.ClientID)), or(key),
			c.Outcome, len(rec.Removals), len(c.ByPerson))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, c := range plan.Connections {
		say(&b, c)
	}
	for _, text := range plan.ByPerson {
		fmt.Fprintf(&b, "\n! %s\n", text)
	}
	summary(&b, plan, wrote)
	_, err := io.WriteString(out, b.String())
	return err
}

func or(text string) string { return cmp.Or(text, "-") }

// say prints what is to be removed of a connection, and the remarks about it.
func say(b *strings.Builder, c rebuild.Connection) {
	if len(c.Notes)+len(c.ByPerson)+len(c.Record.Removals) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s %s\n", c.ID, c.Name)
	for _, o := range c.Record.Replaced() {
		fmt.Fprintf(b, "  to be removed after %s: %s\n", o.After.UTC().Format("2006-01-02 15:04 MST"), o.KeyID)
	}
	for _, o := range c.Record.Orphans() {
		if o.KeyID != "" {
			fmt.Fprintf(b, "  to be removed, never published: %s\n", o.KeyID)
		} else {
			fmt.Fprintf(b, "  to be looked for: %s\n", o.Marker)
		}
	}
	for _, text := range c.Notes {
		fmt.Fprintf(b, "  %s\n", text)
	}
	for _, text := range c.ByPerson {
		fmt.Fprintf(b, "  ! %s\n", text)
	}
}

func summary(b *strings.Builder, plan *rebuild.Plan, wrote bool) {
	fmt.Fprintf(b, "\n%d connections in the vault:", len(plan.Connections))
	for _, o := range []rebuild.Outcome{rebuild.Present, rebuild.Missing, rebuild.Rebuilt, rebuild.Deleted, rebuild.Held, rebuild.Unclear} {
		if n := plan.Count(o); n > 0 {
			fmt.Fprintf(b, " %d %s", n, o)
		}
	}
	fmt.Fprintln(b)
	if !wrote && plan.Count(rebuild.Missing) > 0 {
		fmt.Fprintln(b, "Nothing was written. Run it with -write (make rebuild WRITE=yes) to write what is missing.")
	}
	if plan.NeedsPerson() {
		fmt.Fprintln(b, "What is marked with ! needs a person; what is unclear needs another run.")
	}
}
