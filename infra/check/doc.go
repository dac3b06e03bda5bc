// Package check reads the deployments of infra/azure and infra/aws and says what is
// wrong with them, without a cloud, a provider or a network.
//
// It exists because the tools that validate such files prove that they are well
// formed, and what is dangerous is well formed too: a role that is too wide, a vault
// that every network reaches, a timer without a schedule. [Azure] and [AWS] promise
// that a change that widens a permission, opens a door, or lets a name drift apart from
// the program's own (a setting, a table, a line of the log that an alert waits for) has
// to change this package as well. So does a change that gives the program a setting:
// either both deployments can set it, and what is secret only by reference, or a reason
// is written here. Every mistake is reported, not only the first.
//
// Expressions are evaluated as Terraform would, as far as they don't depend on what
// exists only after a deployment; those values are names in angle brackets, such as
// <azurerm_key_vault.rekey.id>. Values that a deployment would have, and the settings
// that follow from them, are read by the program's own shared/config.
package check

import (
	"errors"
	"fmt"
)

// findings collects what is wrong.
type findings struct{ errs []error }

// expect notes the sentence if ok is false.
func (f *findings) expect(ok bool, format string, args ...any) {
	if !ok {
		f.errs = append(f.errs, fmt.Errorf(format, args...))
	}
}

func (f *findings) err() error { return errors.Join(f.errs...) }
