package config_test

import (
	"fmt"
	"strings"
	"testing"

	"rekey/shared/config"
)

// onLambda is what Lambda sets, and the application that Rekey is.
var onLambda = settings{
	"AWS_LAMBDA_FUNCTION_NAME": "rekey",
	"AWS_REGION":               "eu-central-1",
	"AWS_ACCESS_KEY_ID":        "ASIAIOSFODNN7EXAMPLE",
	"AWS_SECRET_ACCESS_KEY":    "key~of~the~role",
	"AWS_SESSION_TOKEN":        "token~of~the~role",
	"AZURE_TENANT_ID":          guid,
	"AZURE_CLIENT_ID":          guid,
}

func TestFederated(t *testing.T) {
	f := load(t, least.with(onLambda)).Identity.Federated
	if !f.On() || f.Region != "eu-central-1" || f.AccessKeyID != "ASIAIOSFODNN7EXAMPLE" || f.SecretAccessKey.Reveal() != "key~of~the~role" ||
		f.SessionToken.Reveal() != "token~of~the~role" || f.STSURL != "" {
		t.Errorf("Federated = %+v", f)
	}
	if text := fmt.Sprintf("%+v %#v", f, f); strings.Contains(text, "~of~the~role") {
		t.Errorf("it prints as %s", text)
	}
	f = load(t, emulated.with(onLambda).with(settings{"REKEY_STS_URL": "https://127.0.0.1:8446/"})).Identity.Federated
	if f.STSURL != "https://127.0.0.1:8446" {
		t.Errorf("STSURL = %q", f.STSURL)
	}
	for name, s := range map[string]settings{
		"not on Lambda": least.with(onLambda).with(settings{"AWS_LAMBDA_FUNCTION_NAME": ""}),
		"with a secret": least.with(onLambda).with(settings{"AZURE_CLIENT_SECRET": "own~secret"}),
	} {
		if id := load(t, s).Identity; id.Federated != (config.Federated{}) || id.Federated.On() {
			t.Errorf("%s: Federated = %+v", name, id.Federated)
		}
	}
}

func TestFederatedMistakes(t *testing.T) {
	for _, tt := range []struct {
		base      settings
		name, set string
		says      string
	}{
		{least, "AZURE_TENANT_ID", "", "on Lambda"},
		{least, "AZURE_CLIENT_ID", "", "on Lambda"},
		{least, "AWS_REGION", "", "what Lambda sets"},
		{least, "AWS_REGION", "eu-central-1.evil.example/", "a region"},
		{least, "AWS_ACCESS_KEY_ID", "", "what Lambda sets"},
		{least, "AWS_ACCESS_KEY_ID", "hidden", "an access key id"},
		{least, "AWS_SECRET_ACCESS_KEY", "", "what Lambda sets"},
		{least, "AWS_SESSION_TOKEN", "", "what Lambda sets"},
		{least, "REKEY_STS_URL", "https://127.0.0.1:8446", "REKEY_EMULATED"},
		{emulated, "REKEY_STS_URL", "", "is required on Lambda"},
		{emulated, "REKEY_STS_URL", "http://127.0.0.1:8446", "https"},
		{emulated, "REKEY_STS_URL", "https://sts.eu-central-1.amazonaws.com", "real AWS"},
		{emulated, "REKEY_STS_URL", "https://sts.cn-north-1.AMAZONAWS.com.cn.", "real AWS"},
	} {
		t.Run(tt.name+" "+tt.says, func(t *testing.T) {
			_, err := config.Load(tt.base.with(onLambda).with(settings{tt.name: tt.set}).lookup)
			if err == nil {
				t.Fatal("accepted")
			}
			if message := err.Error(); strings.Contains(message, "\n") || !strings.HasPrefix(message, tt.name+": ") ||
				!strings.Contains(message, tt.says) || strings.Contains(message, "hidden") {
				t.Errorf("error = %q, want one line about %s that says %q", message, tt.name, tt.says)
			}
		})
	}
}
