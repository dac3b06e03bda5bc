package keyvault

import (
	"regexp"
	"unicode/utf8"

	"rekey/shared/rotation"
)

// Key Vault's limits on names and versions. They are parts of an address, so they are
// checked before anything is sent.
var (
	nameForm    = regexp.MustCompile(`^[0-9a-zA-Z-]{1,127}$`)
	versionForm = regexp.MustCompile(`^[0-9a-zA-Z]{1,64}$`)
)

const (
	maxValue       = 25 * 1024 // bytes
	maxContentType = 255       // characters
	maxTags        = 15
	maxTag         = 256 // characters, of a name and of a value
)

func checkName(op, name string) error {
	if !nameForm.MatchString(name) {
		return invalid(op, "a secret's name has 1 to 127 letters, digits and hyphens")
	}
	return nil
}

func checkVersion(op, version string) error {
	if !versionForm.MatchString(version) {
		return invalid(op, "a version has letters and digits only")
	}
	return nil
}

func checkSecret(op string, s rotation.VaultSecret) error {
	if err := checkName(op, s.Name); err != nil {
		return err
	}
	switch {
	case s.Value.IsZero():
		return invalid(op, "a value is required")
	case len(s.Value.Reveal()) > maxValue:
		return invalid(op, "a value has at most 25 KB")
	case utf8.RuneCountInString(s.ContentType) > maxContentType:
		return invalid(op, "a content type has at most 255 characters")
	case len(s.Tags) > maxTags:
		return invalid(op, "a secret has at most 15 tags")
	}
	for k, v := range s.Tags {
		if k == "" || utf8.RuneCountInString(k) > maxTag || utf8.RuneCountInString(v) > maxTag {
			return invalid(op, "a tag has 1 to 256 characters, and a value of at most 256")
		}
	}
	return nil
}
