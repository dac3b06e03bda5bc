package config

import (
	"regexp"

	"rekey/shared/secret"
)

// Federated is how Rekey is known on AWS Lambda, where there is neither a managed
// identity nor a reason for a stored secret: the function's role signs in by a
// federated credential of the application. It is zero elsewhere, and where there is a
// client secret. What it holds, Lambda sets.
type Federated struct {
	Region          string       // AWS_REGION, whose Security Token Service is asked
	AccessKeyID     string       // AWS_ACCESS_KEY_ID, of the function's role
	SecretAccessKey secret.Value // AWS_SECRET_ACCESS_KEY
	SessionToken    secret.Value // AWS_SESSION_TOKEN
	// STSURL is REKEY_STS_URL, https, an emulator in the place of the region's own
	// service. Only with REKEY_EMULATED. Default none.
	STSURL string
}

// On reports whether Rekey signs in that way.
func (f Federated) On() bool { return f.Region != "" }

var (
	regionForm    = regexp.MustCompile(`^[a-z]{2,}(-[a-z0-9]+)+$`)
	accessKeyForm = regexp.MustCompile(`^[A-Z0-9]{16,128}$`)
)

// federated reads how Rekey signs in on Lambda. The variables of the role are
// Lambda's own; on other machines that have them they mean nothing to Rekey.
func (r *reader) federated(id Identity, emulated bool) Federated {
	// What is wrong with it is said wherever it is set.
	sts := r.origin("REKEY_STS_URL", "")
	if r.text("REKEY_STS_URL") != "" && !emulated {
		r.wrong("REKEY_STS_URL", "may be set only with REKEY_EMULATED=true; leave it out")
	}
	if emulated && realAWS(hostOf(sts)) {
		r.wrong("REKEY_STS_URL", "is the real AWS, which REKEY_EMULATED=true does not allow: write the emulator's address")
	}
	if !r.onLambda() || !id.ClientSecret.IsZero() {
		return Federated{}
	}
	for _, name := range []string{"AZURE_TENANT_ID", "AZURE_CLIENT_ID"} {
		r.required(name, "", "that of the application with which Rekey signs in on Lambda")
	}
	if emulated && r.text("REKEY_STS_URL") == "" {
		r.wrong("REKEY_STS_URL", "is required on Lambda with REKEY_EMULATED=true: write the emulator's address")
	}
	const set = "what Lambda sets; this is no Lambda function, or it was overwritten"
	return Federated{
		Region:          r.required("AWS_REGION", r.match("AWS_REGION", "", regionForm, "a region, like eu-central-1"), set),
		AccessKeyID:     r.required("AWS_ACCESS_KEY_ID", r.match("AWS_ACCESS_KEY_ID", "", accessKeyForm, "an access key id"), set),
		SecretAccessKey: r.requiredSecret("AWS_SECRET_ACCESS_KEY", set),
		SessionToken:    r.requiredSecret("AWS_SESSION_TOKEN", set),
		STSURL:          sts,
	}
}

func (r *reader) onLambda() bool { return r.text("AWS_LAMBDA_FUNCTION_NAME") != "" }

// requiredSecret is required for a secret.
func (r *reader) requiredSecret(name, form string) secret.Value {
	r.required(name, "", form)
	return r.secret(name)
}
