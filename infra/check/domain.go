package check

import "encoding/json"

// bound is the part of a template of Azure Resource Manager that gives a host name its
// certificate.
type bound struct {
	Resources []struct {
		Type, Name string
		DependsOn  []string
		Properties struct{ CanonicalName, SSLState, Thumbprint string }
	}
}

// checkDomain checks that a host name of one's own gets a certificate by the means that
// Flex Consumption has: one of the app's own, made before the name is bound to it.
func (m *module) checkDomain(f *findings) {
	for _, kind := range []string{"azurerm_app_service_managed_certificate", "azurerm_app_service_certificate_binding"} {
		f.expect(len(m.named(kind)) == 0, "%s fails on Flex Consumption", kind)
	}
	deployment := m.resources["azurerm_resource_group_template_deployment.certificate"]
	f.expect(deployment.text("deployment_mode") == "Incremental", "the certificate's deployment removes what is not in its template")
	var t bound
	if err := json.Unmarshal([]byte(deployment.text("template_content")), &t); err != nil || len(t.Resources) != 2 {
		f.expect(false, "the certificate's template can't be read, or has not two resources: %v", err)
		return
	}
	const app = "<" + theApp + ".name>/"
	certificate, binding := t.Resources[0], t.Resources[1]
	f.expect(certificate.Type == "Microsoft.Web/sites/certificates" && certificate.Name == app+"rekey-example-com" &&
		certificate.Properties.CanonicalName == "rekey.example.com", "the certificate is not the app's, or of another name")
	f.expect(binding.Type == "Microsoft.Web/sites/hostNameBindings" && binding.Name == app+"rekey.example.com" &&
		binding.Properties.SSLState == "SniEnabled", "the host name has no certificate")
	const id = "resourceId('Microsoft.Web/sites/certificates', '<" + theApp + ".name>', 'rekey-example-com')"
	f.expect(len(binding.DependsOn) == 1 && binding.DependsOn[0] == "["+id+"]" &&
		binding.Properties.Thumbprint == "[reference("+id+", '2024-11-01').thumbprint]", "the host name is bound before its certificate is made")
}
