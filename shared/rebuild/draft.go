package rebuild

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"rekey/shared/history"
	"rekey/shared/secret"
	"rekey/shared/serviceerror"
	"rekey/shared/vaulttag"

	"rekey/shared/rotation"
)

// draft is a connection while it is looked at.
type draft struct {
	*group
	Connection

	rec rotation.Record // as it is, or as it is going to be

	// What the vault has of it, the newest first.
	published, staged, auth []rotation.VaultSecret

	token  rotation.Token             // of the actor that may read the application; empty: none can now
	state  *rotation.ApplicationState // of the application that is rotated; nil: it could not be read
	value  secret.Value               // the value that is current
	latest bool                       // which is also what is published

	once     sync.Once // guards the two below, for targets
	actToken rotation.Token
	actErr   error
}

// defaultGrace is the grace period where no tag says one; it is the API's default.
const defaultGrace = 48 * time.Hour

// complete drafts the record of one connection, or says why there is to be none.
func (s *scan) complete(ctx context.Context, d *draft) error {
	if err := s.unknown(ctx, d); err != nil {
		return err
	}
	strays, err := d.place()
	if err != nil {
		return err
	}
	for _, name := range strays {
		d.ByPerson = append(d.ByPerson,
			"The secret \""+name+"\" bears its tags and is not its own. Take them off, so that it is not taken for one of Rekey's.")
	}
	for _, read := range []func(context.Context, *draft) error{s.versions, s.deleted, s.describe, s.signIn, s.current, s.directory} {
		if err := read(ctx, d); err != nil {
			return err
		}
	}
	if err := s.leftovers(ctx, d); err != nil {
		return err
	}
	s.finish(d)
	return nil
}

// unknown stops at a connection that the table knows, or of which it knows that it was
// deleted.
func (s *scan) unknown(ctx context.Context, d *draft) error {
	rec, err := s.Records.Load(ctx, d.ID)
	switch {
	case err == nil:
		d.rec, d.Name, d.VaultName, d.Via = rec, rec.Name, rec.VaultName, rec.Via
		return &stop{outcome: Present}
	case errors.Is(err, serviceerror.ErrNewerSchema):
		return &stop{Present, "Its record was written by a newer version of Rekey."}
	case !errors.Is(err, serviceerror.ErrNotFound):
		return err
	}
	events, _, err := s.Records.History(ctx, d.ID, "", 1)
	if err != nil {
		return err
	}
	for _, e := range events {
		switch e.Kind {
		case history.Deleted, history.Undone:
			return &stop{Deleted, "Its history says so."}
		case history.Unreadable: // it may be that it was deleted
			return errors.New("reading the history: this version of Rekey can't read its last line")
		}
	}
	return nil
}

// versions reads what the vault has of the connection, without values.
func (s *scan) versions(ctx context.Context, d *draft) error {
	d.rec = rotation.Record{ID: d.ID, VaultName: d.name}
	d.VaultName = d.name
	if d.auth = nil; d.group.auth {
		list, err := s.Vault.List(ctx, d.rec.AuthName())
		if err != nil {
			return err
		}
		d.auth = s.ours(d.ID, list)
	}
	if d.name == "" {
		d.rec.VaultName = "rekey-" + d.ID
		return nil
	}
	list, err := s.Vault.List(ctx, d.name)
	if err != nil {
		return err
	}
	d.published = s.ours(d.ID, list)
	if list, err = s.Vault.List(ctx, d.rec.StagedName()); err != nil {
		return err
	}
	d.staged = s.ours(d.ID, list)
	return s.front(ctx, d)
}

// front puts what is published in front: versions of one second are listed in any
// order. It stops where another connection has taken the name over.
func (s *scan) front(ctx context.Context, d *draft) error {
	st, err := s.Vault.State(ctx, d.name)
	switch {
	case err != nil:
		return err
	case st.Deleted: // a deletion takes away the staged one first
		return held("Its published secret %q is soft-deleted. Recover it, and run this again.", d.name)
	case !st.Exists:
		return nil
	}
	if owner := st.Tags[vaulttag.Connection]; st.Tags[vaulttag.Deployment] == s.Deployment && owner != d.ID {
		return &stop{Deleted, "Another connection has taken its vault secret over."}
	}
	for i, v := range d.published {
		if v.Version == st.Version {
			copy(d.published[1:i+1], d.published[:i])
			d.published[0], d.latest = v, true
			return nil
		}
	}
	if len(d.published) > 0 {
		d.Notes = append(d.Notes, "What is published was not written by Rekey; what Rekey published last takes its place.")
	}
	return nil
}

// deleted stops at what a deletion leaves: the published secret without the others,
// which are soft-deleted, and after their retention are gone.
func (s *scan) deleted(ctx context.Context, d *draft) error {
	for name, there := range map[string]int{d.rec.StagedName(): len(d.staged), d.rec.AuthName(): len(d.auth)} {
		if there > 0 {
			continue
		}
		st, err := s.Vault.State(ctx, name)
		if err != nil {
			return err
		}
		if !st.Deleted || st.Tags[vaulttag.Connection] != d.ID || st.Tags[vaulttag.Deployment] != s.Deployment {
			continue
		}
		if len(d.staged) > 0 { // which a deletion takes away first
			return held("Its secret %q is soft-deleted. Recover it, and run this again.", name)
		}
		return &stop{Deleted, "Its secret \"" + name +
			"\" is soft-deleted, as a deletion leaves it. If no caller deleted the connection, recover that secret and run this again."}
	}
	issued := len(d.published) > 0 && d.published[0].Tags[vaulttag.Origin] == string(rotation.OriginIssued)
	if issued && len(d.staged) == 0 && s.only != d.ID {
		return &stop{Deleted, "The staged secret without which nothing is rotated is not there. " +
			"If no caller deleted the connection, name it, and it is rebuilt all the same."}
	}
	return nil
}

// describe drafts what the tags say. The newest version of all says it latest.
func (s *scan) describe(_ context.Context, d *draft) error {
	var newest, oldest rotation.VaultSecret
	for _, list := range [][]rotation.VaultSecret{d.published, d.staged, d.auth} {
		for _, v := range list {
			if newest.Version == "" || v.CreatedAt.After(newest.CreatedAt) {
				newest = v
			}
			if oldest.Version == "" || v.CreatedAt.Before(oldest.CreatedAt) {
				oldest = v
			}
		}
	}
	tags, now := newest.Tags, s.now()
	if tags[vaulttag.Name] == "" {
		return held("Its secrets don't say its name. Tags are missing that every version has which Rekey writes.")
	}
	policy, ok := rotation.ParseSchedule(tags[vaulttag.Schedule])
	if !ok {
		d.ByPerson = append(d.ByPerson, "Its schedule can't be read from the tags. Rotation is off until you turn it on.")
	}
	if !policy.Enabled {
		policy.Grace = defaultGrace
	}
	// The grace period of an original is in no tag. Too long is the safer guess.
	policy.OriginalGrace = policy.Grace
	d.touched = newest.CreatedAt
	d.Name = tags[vaulttag.Name]
	d.rec = rotation.Record{
		Schema: rotation.Schema, ID: d.ID, Name: d.Name, Project: tags[vaulttag.Project],
		Method: tags[vaulttag.Method], VaultName: d.rec.VaultName,
		CreatedAt: oldest.CreatedAt, CreatedBy: By, UpdatedAt: now, Policy: policy, CredentialChanges: 1, Via: d.via,
		Phase: rotation.Idle, Acknowledged: true, Version: 1, Revision: 1,
	}
	if d.name == "" {
		return nil
	}
	target, ok := d.target()
	if !ok {
		return held("Its secrets don't say of which application they are.")
	}
	if what, refused := s.Refused[strings.ToLower(target.ClientID)]; refused {
		return held("Its application is %s, which Rekey does not rotate.", what)
	}
	d.rec.Target = target
	return nil
}

// target is the application that the connection rotates: that of what is published, or
// of what was to be published first.
func (d *draft) target() (rotation.Application, bool) {
	for _, list := range [][]rotation.VaultSecret{d.published, d.staged} {
		for _, v := range list {
			if app := application(v); app.TenantID != "" && app.ClientID != "" {
				return app, true
			}
		}
	}
	return rotation.Application{}, false
}

// application is what a version's credential is of.
func application(v rotation.VaultSecret) rotation.Application {
	return rotation.Application{TenantID: v.Tags[vaulttag.Tenant], ClientID: v.Tags[vaulttag.Client],
		ObjectID: v.Tags[vaulttag.Object]}
}

// finish says when the connection is to be woken, and for what.
func (s *scan) finish(d *draft) {
	rec, now := &d.rec, s.now()
	if c := rec.Current; c != nil && c.Origin == rotation.OriginIssued {
		rec.LastRotatedAt = d.published[0].CreatedAt
	}
	switch { // what is published should be what works
	case rec.Current == nil:
	case rec.Policy.Enabled && d.latest:
		rec.NextSlot = rec.Policy.Schedule.Next(d.published[0].CreatedAt, now)
	case rec.Policy.Enabled:
		rec.NextSlot = now
		d.Notes = append(d.Notes, "It is rotated at once, because what is published last does not work or is not Rekey's.")
	case !d.latest && rec.Error == nil:
		d.ByPerson = append(d.ByPerson, "What is published last does not work or is not Rekey's. Rotate it, or reconnect it.")
	}
	rec.WakeAt = s.Rules.Wake(now, rec)
	d.Record = rec.Clone()
}

// credential is a published version as a record knows it.
func credential(v rotation.VaultSecret, since time.Time, value secret.Value) *rotation.Credential {
	return &rotation.Credential{
		Target: application(v), KeyID: v.Tags[vaulttag.KeyID], VaultVersion: v.Version, Hint: value.Hint(), ExpiresAt: v.ExpiresAt,
		Origin: rotation.Origin(cmp.Or(v.Tags[vaulttag.Origin], string(rotation.OriginGiven))), Since: since,
		Marker: v.Tags[vaulttag.Marker],
	}
}
