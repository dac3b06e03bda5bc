package console

import "rekey/shared/inventory"

// listWords are what the lists of a scan are called.
var listWords = map[string]string{
	string(inventory.Applications): "app registrations", string(inventory.FederatedIDs): "federated credentials",
	string(inventory.Principals): "service principals", string(inventory.Activity): "sign-in activity",
	string(inventory.Policy): "policy of lifetimes", string(inventory.Missing): "what no list showed",
}

// scanWords are what the phases of a scan are called.
var scanWords = map[string]string{
	string(inventory.Reading): "reading the directory", string(inventory.Writing): "writing what has changed",
	string(inventory.Complete): "complete", string(inventory.Failed): "failed",
}

// changeWords are what may have changed since the scan before.
var changeWords = map[string]string{
	string(inventory.AppAdded): "new", string(inventory.AppGone): "gone", string(inventory.CredentialAdded): "a credential is new",
	string(inventory.CredentialRemoved): "a credential is gone", string(inventory.OwnersChanged): "other owners",
	string(inventory.EnabledChanged): "disabled, or enabled again", string(inventory.DetailsChanged): "other details",
	string(inventory.FindingArisen): "a finding is new",
}

// audienceWords are who may sign in to an application. Source:
// learn.microsoft.com/entra/identity-platform/supported-accounts-validation.
var audienceWords = map[string]string{
	"AzureADMyOrg": "accounts of its own tenant", "AzureADMultipleOrgs": "accounts of any tenant",
	"AzureADandPersonalMicrosoftAccount": "accounts of any tenant, and personal Microsoft accounts",
	"PersonalMicrosoftAccount":           "personal Microsoft accounts",
}
