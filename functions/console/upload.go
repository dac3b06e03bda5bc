package console

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"
)

// A certificate comes pasted, or as a file. Package session has read the form, and bounded it, before
// anything of it is looked at here.

// upload is the encoding of a form that may have files.
var upload = h.EncType("multipart/form-data")

// fileOf is the field of the file that goes with a field.
func fileOf(name string) string { return name + "File" }

// certificateFields take a certificate with its key: PEM or PFX.
func (f *sheet) certificateFields() g.Node {
	public := publicPart(f.entered("certificateBody"))
	if data, err := f.file("certificateBody"); err == nil && len(data) > 0 {
		public = publicPart(string(data))
	}
	return g.Group{
		h.FieldSet(h.Legend(g.Text("Certificate and private key, as PEM")),
			f.area("certificateBody", "With its chain, if there is one. Paste it, or choose the file.", public),
			chooser("certificateBody", ".pem,.crt,.cer"),
			f.area("privateKey", "Not encrypted. Leave it out if the certificate's file has it. It is not shown again.", ""),
			chooser("privateKey", ".pem,.key")),
		h.FieldSet(h.Legend(g.Text("Or both, as one PFX file")),
			label("pfx", pfxHint), h.Input(h.ID("pfx"), h.Name(fileOf("pfx")), h.Type("file"), h.Accept(".pfx,.p12"), f.about("pfx", pfxHint)),
			f.secretField("password", "Empty, if it has none")),
		f.box("chain", "For applications that trust an issuer and a subject instead of one certificate. The chain has to be given above.",
			g.If(f.entered("chain") == "on", h.Checked())),
	}
}

const pfxHint = "Also called .p12. Choose it again after a refusal: no key is sent back to the browser."

func (f *sheet) area(name, hint, text string) g.Node {
	return g.Group{label(name, hint),
		h.Textarea(h.ID(name), h.Name(name), h.AutoComplete("off"), g.Attr("spellcheck", "false"), f.about(name, hint), g.Text(text))}
}

// chooser takes the file of a field that is pasted into otherwise.
func chooser(name, kinds string) g.Node {
	return h.Div(h.Input(h.Name(fileOf(name)), h.Type("file"), h.Accept(kinds), h.Aria("label", labelOf(name)+", as a file")))
}

// publicPart is what of a pasted certificate is shown again: certificates. A key may have been
// pasted along with it, or into the wrong field.
func publicPart(text string) string {
	var public bytes.Buffer
	rest := []byte(text)
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if _, err := x509.ParseCertificate(block.Bytes); err == nil {
			_ = pem.Encode(&public, &pem.Block{Type: "CERTIFICATE", Bytes: block.Bytes}) // a buffer takes everything
		}
	}
	return public.String()
}

// file is what was chosen as the file of a field; nil: nothing.
func (v *visit) file(name string) ([]byte, error) {
	f, _, err := v.FormFile(fileOf(name))
	if errors.Is(err, http.ErrMissingFile) || errors.Is(err, http.ErrNotMultipart) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("opening the file of a form: %w", err)
	}
	defer func() { _ = f.Close() }() // it is in memory
	data, err := io.ReadAll(f)
	if err != nil {
		return nil, fmt.Errorf("reading the file of a form: %w", err)
	}
	return data, nil
}

// credentialsOf are the credentials of a form for the API.
func credentialsOf(v *visit) (object, error) {
	c := object{}
	put(v, c, map[string]string{"tenantId": "tenantId", "clientId": "clientId", "clientSecret": "clientSecret",
		"clientSecretKeyId": "clientSecretKeyId", "certificateBody": "certificateBody", "privateKey": "privateKey"})
	for _, name := range []string{"certificateBody", "privateKey", "pfx"} {
		data, err := v.file(name)
		if err != nil {
			return nil, err
		}
		switch {
		case len(data) == 0:
		case name != "pfx" && bytes.Contains(data, []byte("-----BEGIN")):
			c[name] = string(data)
		default: // DER
			c[name] = base64.StdEncoding.EncodeToString(data)
		}
	}
	if password := v.PostFormValue("password"); password != "" && c["pfx"] != nil {
		c["password"] = password
	}
	if v.PostFormValue("chain") == "on" && (c["certificateBody"] != nil || c["pfx"] != nil) {
		c["sendCertificateChain"] = true
	}
	return c, nil
}
