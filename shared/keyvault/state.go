package keyvault

import (
	"context"
	"errors"
	"fmt"
	"time"

	"rekey/shared/serviceerror"

	"rekey/shared/rotation"
)

// State looks at the latest version of name, or at what is soft-deleted under it.
// If the latest version is disabled, it is the newest of the list; among versions
// of the same second that may be another one (see [Vault.List]), so callers may
// rely on tags that all versions have in common.
func (v *Vault) State(ctx context.Context, name string) (rotation.VaultState, error) {
	latest, err := v.Get(ctx, name, "")
	switch {
	case err == nil:
		return rotation.VaultState{Exists: true, Tags: latest.Tags, Version: latest.Version, Place: v.place(name, latest.Version)}, nil
	case errors.Is(err, serviceerror.ErrNotFound):
		return v.deletedState(ctx, name)
	case serviceerror.ClassOf(err) != serviceerror.VaultRefused && !serviceerror.IsDisabled(err):
		return rotation.VaultState{}, err
	}
	// Disabled, or no permission: then the list is refused as well.
	all, listErr := v.List(ctx, name)
	if listErr != nil {
		return rotation.VaultState{}, listErr
	}
	if len(all) == 0 {
		return rotation.VaultState{}, err
	}
	return rotation.VaultState{Exists: true, Tags: all[0].Tags, Version: all[0].Version, Place: v.place(name, all[0].Version)}, nil
}

func (v *Vault) deletedState(ctx context.Context, name string) (rotation.VaultState, error) {
	const op = "reading a deleted secret"
	client, err := v.use(op)
	if err != nil {
		return rotation.VaultState{}, err
	}
	resp, err := client.GetDeletedSecret(ctx, name, nil)
	if err != nil {
		err = v.at(v.failure(op, read, err), name, "")
		if errors.Is(err, serviceerror.ErrNotFound) {
			return rotation.VaultState{}, nil
		}
		return rotation.VaultState{}, err
	}
	return rotation.VaultState{
		Deleted: true, Tags: plain(resp.Tags), Version: versionOf(resp.ID), Place: v.place(name, versionOf(resp.ID)),
	}, nil
}

const recovering = "recovering a secret"

// Recover brings a soft-deleted secret back, with all its versions, and returns
// when it can be read; a Put right after it may still be refused, as transient,
// for some seconds. It is nil for a secret that is not deleted, and
// [serviceerror.ErrNotFound] if there is nothing to recover. If ctx ends first the
// outcome is unknown; calling it again goes on waiting.
func (v *Vault) Recover(ctx context.Context, name string) error {
	var seen, started bool
	for {
		state, err := v.State(ctx, name)
		if err != nil {
			return err
		}
		switch {
		case state.Exists:
			return nil
		case state.Deleted && !started:
			seen = true
			if started, err = v.startRecovery(ctx, name); err != nil {
				return err
			}
		case !seen:
			return fmt.Errorf("%s: %w", recovering, serviceerror.ErrNotFound)
		}
		if err := v.wait(ctx); err != nil {
			return err
		}
	}
}

// startRecovery reports false if the vault is not ready for it, or if another
// caller was faster: looking again tells.
func (v *Vault) startRecovery(ctx context.Context, name string) (bool, error) {
	client, err := v.use(recovering)
	if err != nil {
		return false, err
	}
	if _, err = client.RecoverDeletedSecret(once(ctx), name, nil); err == nil {
		return true, nil
	}
	err = v.failure(recovering, write, err)
	if e, ok := errors.AsType[*serviceerror.Error](err); errors.Is(err, serviceerror.ErrNotFound) ||
		ok && (e.Detail == beingDeleted || e.Detail == beingRecovered) {
		return false, nil
	}
	return false, err
}

// wait pauses between two looks.
func (v *Vault) wait(ctx context.Context) error {
	timer := time.NewTimer(v.poll)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return &serviceerror.Error{Op: recovering, Class: serviceerror.Transient, UnknownOutcome: true, Detail: "time ran out"}
	}
}
