package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"regexp"
	"strings"

	"rekey/shared/app"
	"rekey/shared/config"
)

// load reads the settings of an app from a file. A reference to Key Vault, which the
// platform resolves where the app runs, is resolved here, as the person.
func load(ctx context.Context, file string, who *person, log *slog.Logger) (config.Config, error) {
	settings, err := listed(file)
	if err != nil {
		return config.Config{}, err
	}
	var wrong []error
	c, err := config.Load(func(name string) (string, bool) {
		value, ok := settings[name]
		to, is := referenceOf(value)
		if !is {
			return value, ok
		}
		secret, err := resolved(ctx, to, settings, who, log)
		if err != nil {
			wrong = append(wrong, fmt.Errorf("%s: %w", name, err))
		}
		settings[name] = secret // asked for once
		return secret, true
	})
	if len(wrong) > 0 { // what else is wrong may follow from that
		err = errors.Join(wrong...)
	}
	if err != nil {
		return config.Config{}, errors.Join(fmt.Errorf("the settings in %s have mistakes", file), err)
	}
	return c, nil
}

// listed reads settings in the form in which the Azure CLI prints those of an app, or in
// which the AWS CLI prints those of a function.
func listed(file string) (map[string]string, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the app's settings: %w", err)
	}
	settings := map[string]string{}
	var list []struct{ Name, Value string }
	if json.Unmarshal(data, &list) == nil {
		for _, s := range list {
			settings[s.Name] = s.Value
		}
	} else if json.Unmarshal(data, &settings) != nil {
		return nil, fmt.Errorf("%s is not what `az functionapp config appsettings list --output json` prints, nor "+
			"`aws lambda get-function-configuration --query Environment.Variables --output json`", file)
	}
	return settings, nil
}

// reference names a secret of a vault.
type reference struct {
	vault         string // the host, or the name where the host is not said
	name, version string // no name: it can't be read
}

// The two forms of references. Source:
// learn.microsoft.com/azure/app-service/app-service-key-vault-references.
var (
	referenceForm = regexp.MustCompile(`(?i)^\s*@Microsoft\.KeyVault\((.*)\)\s*$`)
	secretPath    = regexp.MustCompile(`^/secrets/([0-9a-zA-Z-]+)(?:/([0-9a-f]*))?/?$`)
)

// referenceOf reads a reference; is is false for a value that is none.
func referenceOf(value string) (to reference, is bool) {
	m := referenceForm.FindStringSubmatch(value)
	if m == nil {
		return reference{}, false
	}
	parts := map[string]string{}
	for part := range strings.SplitSeq(m[1], ";") {
		key, value, _ := strings.Cut(part, "=")
		parts[strings.ToLower(strings.TrimSpace(key))] = strings.TrimSpace(value)
	}
	if u, err := url.Parse(parts["secreturi"]); err == nil && u.Host != "" {
		if m := secretPath.FindStringSubmatch(u.Path); m != nil {
			return reference{u.Host, m[1], m[2]}, true
		}
		return reference{}, true
	}
	return reference{parts["vaultname"], parts["secretname"], parts["secretversion"]}, true
}

// resolved returns the value of a secret of the deployment's own vault.
func resolved(ctx context.Context, to reference, settings map[string]string, who *person, log *slog.Logger) (string, error) {
	if to.vault == "" || to.name == "" {
		return "", errors.New("is a reference to Key Vault that can't be read: write the secret's value in the place of the reference")
	}
	own, err := url.Parse(settings["REKEY_KEY_VAULT_URL"])
	name, _, _ := strings.Cut(cmp.Or(own, &url.URL{}).Host, ".")
	if err != nil || !strings.EqualFold(to.vault, own.Host) && !strings.EqualFold(to.vault, name) {
		return "", fmt.Errorf("refers to the secret %s of %s, which is not the vault of REKEY_KEY_VAULT_URL: read it by "+
			"az keyvault secret show, and write its value in the place of the reference", to.name, to.vault)
	}
	a, err := vaultOnly(settings, who, log)
	if err != nil {
		return "", err
	}
	secret, err := a.Connections.Vault.Get(ctx, to.name, to.version)
	if err != nil {
		return "", fmt.Errorf("reading the secret %s, to which it refers: %w", to.name, who.explain(err))
	}
	return secret.Value.Reveal(), nil
}

// vaultOnly is an app that reaches the vault, of the settings that this needs. Its table is
// nowhere, and is not asked.
func vaultOnly(settings map[string]string, who *person, log *slog.Logger) (*app.App, error) {
	needed := map[string]string{"REKEY_TABLE_SERVICE": "https://table.invalid"}
	for _, name := range []string{"REKEY_KEY_VAULT_URL", "AZURE_AUTHORITY_HOST", "REKEY_GRAPH_URL", "REKEY_EMULATED", "REKEY_CA_FILE"} {
		needed[name] = settings[name]
	}
	c, err := config.Load(func(name string) (string, bool) { value, ok := needed[name]; return value, ok })
	if err != nil {
		return nil, err
	}
	return app.As(who, c, log)
}
