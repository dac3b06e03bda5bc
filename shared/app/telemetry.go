package app

import (
	"log/slog"
	"net/url"
	"strings"

	"rekey/shared/config"
	"rekey/shared/telemetry"
)

// measured makes what metrics and traces go through; nil if nothing is configured.
func measured(c config.Config, log *slog.Logger) *telemetry.Telemetry {
	if !c.Telemetry.On() {
		return nil
	}
	return telemetry.New(telemetry.Config{
		Traces: telemetry.Export(c.Telemetry.Traces), Metrics: telemetry.Export(c.Telemetry.Metrics),
		Attributes: c.Telemetry.Attributes, Version: Version, Deployment: c.Deployment,
		Sampler: c.Telemetry.Sampler, Ratio: c.Telemetry.SamplerRatio, Services: services(c), Log: log,
	})
}

// services names the other services by the host of their address.
func services(c config.Config) map[string]string {
	names := map[string]string{strings.ToLower(c.TableHost): "table"}
	for name, address := range map[string]string{
		"entra": c.AuthorityHost, "graph": c.GraphURL, "keyvault": c.KeyVaultURL, "sts": c.Identity.Federated.STSURL,
		"webhook": c.Webhook.URL.Reveal(),
	} {
		if u, err := url.Parse(address); err == nil && u.Host != "" {
			names[strings.ToLower(u.Host)] = name
		}
	}
	if region := c.Identity.Federated.Region; region != "" {
		names["sts."+region+".amazonaws.com"] = "sts"
	}
	return names
}
