package connections

import (
	"rekey/shared/host"
	"rekey/shared/inventory"
	"rekey/shared/inventory/catalog"
)

// accept says that a finding is as it should be.
func (h *Handler) accept(r *request) (any, error) {
	key, err := r.key()
	if err != nil {
		return nil, err
	}
	var b struct {
		Finding string  `json:"finding" need:"true"`
		KeyID   *string `json:"keyId"`
		Reason  string  `json:"reason" need:"true"`
		Until   string  `json:"until" need:"true"`
	}
	if err := r.decode(&b); err != nil {
		return nil, err
	}
	in := catalog.Acceptance{
		Kind: inventory.FindingKind(b.Finding), KeyID: deref(b.KeyID), Reason: b.Reason, By: r.caller.Label(), Caller: r.caller.Name,
		From: host.Origin(r.Request),
	}
	if in.Until, err = moment("until", b.Until); err != nil {
		return nil, err
	}
	return oneItem(h.Inventory.Accept(r.Context(), key, in))
}

// takeBack ends what was accepted.
func (h *Handler) takeBack(r *request) (any, error) {
	key, err := r.key()
	if err != nil {
		return nil, err
	}
	in := catalog.Acceptance{
		Kind: inventory.FindingKind(r.URL.Query().Get("finding")), By: r.caller.Label(), Caller: r.caller.Name, From: host.Origin(r.Request),
	}
	if in.Kind == "" {
		return nil, badRequest("finding is missing: which finding was accepted.")
	}
	if in.KeyID, err = r.guid("keyId"); err != nil {
		return nil, err
	}
	return oneItem(h.Inventory.TakeBack(r.Context(), key, in))
}
