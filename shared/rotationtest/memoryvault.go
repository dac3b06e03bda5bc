package rotationtest

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"rekey/shared/rotator"
	"rekey/shared/secret"
	"rekey/shared/serviceerror"

	"rekey/shared/rotation"
)

// MemoryVault is a key vault in memory.
type MemoryVault struct {
	world   *World
	secrets map[string]*heldSecret // by lower-case name
	made    int
	Refuse  bool // refuse everything, as a vault does to whom it does not know
	// RequireExpiry refuses versions without an expiry, as a policy on the vault may.
	RequireExpiry bool
}

type heldSecret struct {
	versions  []rotation.VaultSecret // oldest first
	deletedAt *time.Time
}

// VaultPort returns the vault as the process that is alive sees it.
func (w *World) VaultPort() VaultPort {
	w.mu.Lock()
	defer w.mu.Unlock()
	return vaultPort{w.Vault, port{w, w.process}}
}

// VaultPort is a vault with what creating connections needs besides.
type VaultPort interface {
	rotator.Vault
	State(ctx context.Context, name string) (rotation.VaultState, error)
	Recover(ctx context.Context, name string) error
}

type vaultPort struct {
	v *MemoryVault
	p port
}

// place is a secret of the vault in memory.
func place(name, version string) serviceerror.Place {
	return serviceerror.Place{Vault: "memory", Name: name, Version: version}
}

var validName = regexp.MustCompile(`^[0-9a-zA-Z-]{1,127}$`)

// enter refuses what a vault refuses before it looks anything up.
func (v vaultPort) check(op, name string) error {
	if v.v.Refuse {
		return &serviceerror.Error{Op: op, Class: serviceerror.VaultRefused, Status: 403, Code: "Forbidden"}
	}
	if !validName.MatchString(name) {
		return &serviceerror.Error{Op: op, Class: serviceerror.Invalid, Status: 400, Code: "BadParameter"}
	}
	return nil
}

func (v vaultPort) Put(ctx context.Context, s rotation.VaultSecret) (string, error) {
	version := ""
	err := v.p.write(ctx, "vault.put", s.Name, func() error {
		if err := v.check("writing a secret", s.Name); err != nil {
			return err
		}
		if v.v.RequireExpiry && s.ExpiresAt.IsZero() {
			return &serviceerror.Error{Op: "writing a secret", Class: serviceerror.VaultRefused, Status: 403,
				Code: "Forbidden", Detail: "ForbiddenByPolicy"}
		}
		key := strings.ToLower(s.Name)
		have := v.v.secrets[key]
		if have == nil {
			have = &heldSecret{}
			v.v.secrets[key] = have
		}
		if have.deletedAt != nil {
			return &serviceerror.Error{Op: "writing a secret", Class: serviceerror.VaultConflict, Status: 409,
				Code: "Conflict", Detail: serviceerror.DetailSoftDeleted, Place: place(s.Name, "")}
		}
		v.v.made++
		s.Version = fmt.Sprintf("%032x", v.v.made)
		s.CreatedAt = time.Now().UTC().Truncate(time.Second)
		s.Tags = maps.Clone(s.Tags)
		have.versions = append(have.versions, s)
		version = s.Version
		return nil
	})
	if err != nil {
		return "", err
	}
	return version, nil
}

func (v vaultPort) Get(ctx context.Context, name, version string) (s rotation.VaultSecret, err error) {
	err = v.p.read(ctx, "vault.get", name, func() error {
		if err := v.check("reading a secret", name); err != nil {
			return err
		}
		have := v.v.secrets[strings.ToLower(name)]
		missing := func(detail string) error {
			if version == "" {
				return fmt.Errorf("reading a secret: %w", serviceerror.ErrNotFound)
			}
			return &serviceerror.Error{Op: "reading a secret", Class: serviceerror.VaultMissing, Status: 404, Detail: detail,
				Place: place(name, version)}
		}
		switch {
		case have == nil || len(have.versions) == 0:
			return missing("")
		case have.deletedAt != nil:
			return missing(serviceerror.DetailSoftDeleted)
		}
		i := len(have.versions) - 1
		if version != "" {
			i = slices.IndexFunc(have.versions, func(s rotation.VaultSecret) bool { return s.Version == version })
		}
		if i < 0 {
			return missing("")
		}
		if s = have.versions[i]; !s.Enabled {
			s = rotation.VaultSecret{}
			return &serviceerror.Error{Op: "reading a secret", Class: serviceerror.VaultDisabled, Status: 403,
				Code: "Forbidden", Detail: serviceerror.DetailDisabled, Place: place(name, version)}
		}
		s.Tags = maps.Clone(s.Tags)
		return nil
	})
	return s, err
}

func (v vaultPort) List(ctx context.Context, name string) (list []rotation.VaultSecret, err error) {
	err = v.p.read(ctx, "vault.list", name, func() error {
		if err := v.check("listing versions", name); err != nil {
			return err
		}
		have := v.v.secrets[strings.ToLower(name)]
		if have == nil || have.deletedAt != nil {
			return nil
		}
		for _, s := range slices.Backward(have.versions) {
			s.Value, s.Tags = secret.Value{}, maps.Clone(s.Tags)
			list = append(list, s)
		}
		return nil
	})
	return list, err
}

func (v vaultPort) Disable(ctx context.Context, name, version string) error {
	return v.p.write(ctx, "vault.disable", name, func() error {
		if err := v.check("disabling a version", name); err != nil {
			return err
		}
		if have := v.v.secrets[strings.ToLower(name)]; have != nil && have.deletedAt == nil {
			for i := range have.versions {
				if have.versions[i].Version == version {
					have.versions[i].Enabled = false
					return nil
				}
			}
		}
		return fmt.Errorf("disabling a version: %w", serviceerror.ErrNotFound)
	})
}

func (v vaultPort) Delete(ctx context.Context, name string) error {
	return v.p.write(ctx, "vault.delete", name, func() error {
		if err := v.check("deleting a secret", name); err != nil {
			return err
		}
		if have := v.v.secrets[strings.ToLower(name)]; have != nil && have.deletedAt == nil {
			now := time.Now()
			have.deletedAt = &now
		}
		return nil
	})
}

func (v vaultPort) State(ctx context.Context, name string) (st rotation.VaultState, err error) {
	err = v.p.read(ctx, "vault.state", name, func() error {
		if err := v.check("reading a secret", name); err != nil {
			return err
		}
		have := v.v.secrets[strings.ToLower(name)]
		if have == nil || len(have.versions) == 0 {
			return nil
		}
		latest := have.versions[len(have.versions)-1]
		st = rotation.VaultState{Exists: have.deletedAt == nil, Deleted: have.deletedAt != nil,
			Tags: maps.Clone(latest.Tags), Version: latest.Version, Place: place(name, latest.Version)}
		return nil
	})
	return st, err
}

func (v vaultPort) Recover(ctx context.Context, name string) error {
	return v.p.write(ctx, "vault.recover", name, func() error {
		have := v.v.secrets[strings.ToLower(name)]
		if have == nil {
			return fmt.Errorf("recovering a secret: %w", serviceerror.ErrNotFound)
		}
		have.deletedAt = nil
		return nil
	})
}

// Published returns the latest version of a secret, by ground truth.
func (w *World) Published(name string) (rotation.VaultSecret, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.Vault.secrets[strings.ToLower(name)]
	if s == nil || s.deletedAt != nil || len(s.versions) == 0 {
		return rotation.VaultSecret{}, false
	}
	return s.versions[len(s.versions)-1], true
}

// Seed puts a secret that is not Rekey's into the vault.
func (w *World) Seed(s rotation.VaultSecret) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.Vault.made++
	s.Version, s.Enabled = fmt.Sprintf("%032x", w.Vault.made), true
	w.Vault.secrets[strings.ToLower(s.Name)] = &heldSecret{versions: []rotation.VaultSecret{s}}
}
