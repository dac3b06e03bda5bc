package console

import (
	"strings"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"

	"rekey/shared/page"
)

// known are the values that the commands about a connection or a target need.
func (v *visit) known(s *subject) values {
	at := strings.TrimSuffix(v.console.VaultURL, "/")
	vault, _, named := strings.Cut(strings.TrimPrefix(at, "https://"), ".")
	if !named || strings.Trim(vault, "0123456789") == "" { // an emulator's address, which has no name to fill in
		vault = ""
	}
	return values{"VAULT": vault, "VAULT_URL": at, "SECRET_NAME": s.VaultSecretName, "TENANT_ID": s.tenantID(),
		"ROTATED_CLIENT_ID": s.clientID(), "AUTHORITY_HOST": strings.TrimSuffix(v.console.AuthorityURL, "/")}
}

// isNew reports whether a connection or a target was just made: what is next is open then.
func (v *visit) isNew() bool {
	done := v.URL.Query().Get("done")
	return done == "created" || done == "target"
}

// references are how consumers read what is published.
func (v *visit) references(s *subject) g.Node {
	if s.state() == nil || s.VaultSecretName == "" || v.console.VaultURL == "" {
		return nil
	}
	known := v.known(s)
	return g.Group{h.H2(g.Text("How consumers read it")),
		g.If(s.ConnectionID != "" && s.state().Current == nil,
			h.P(g.Text("Nothing is published there yet: the first rotation does that."))), page.Facts(
			page.Fact{Name: "App Service and Functions", Value: page.Copyable("@Microsoft.KeyVault(SecretUri="+known["VAULT_URL"]+
				"/secrets/"+s.VaultSecretName+"/)", "the reference for App Service")},
			page.Fact{Name: "Kubernetes (under parameters.objects of a SecretProviderClass)",
				Value: page.Copyable("array:\n  - |\n    objectName: "+s.VaultSecretName+"\n    objectType: secret", "the lines for Kubernetes")},
			page.Fact{Name: "Azure CLI", Value: page.Copyable(known.fill(`az keyvault secret show --vault-name "$VAULT" `+
				`--name "$SECRET_NAME" --query value -o tsv`), "the command")},
		), folded("consumer", "What a consumer needs, with the commands", v.isNew(),
			h.P(g.Text("An identity, a role for it on this one secret, and a way to the vault, which is closed to the internet: let its subnet "+
				"in by vault_allowed_subnet_ids.")), known.copyable(consumer))}
}

// proof is how a person sees that the rotation works.
func (v *visit) proof(s *subject) g.Node {
	if s.state() == nil || s.VaultSecretName == "" || v.console.VaultURL == "" {
		return nil
	}
	return folded("proof", "How to prove it, with the commands", v.isNew(), h.P(g.Text("It is settled when the page says when the next "+
		"rotation is, and no step of one is under way.")), v.known(s).copyable(proof))
}

// ownershipThrough is how what a connection signs in as becomes an owner of an application to rotate.
func ownershipThrough(s *subject) g.Node {
	if s.Method == "oauth" || s.Credentials.ClientID == "" { // the person who signed in has to be the owner
		return nil
	}
	return g.Group{h.P(g.Text("It may change an application of which it is an owner:")),
		page.Copyable(values{"CLIENT_ID": s.Credentials.ClientID}.fill(targetToFill+principalOf+"\n"+ownerOf),
			"the commands that make it an owner")}
}
