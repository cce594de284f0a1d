package words

import "oshirase/mailer"

// enSSHSig is what keys and signatures can have wrong.
var enSSHSig = map[mailer.Code]phrase{
	"sshsig.public":       {"it is no SSH public key", "name a file as ssh-keygen makes it (KEY.pub)"},
	"sshsig.one-key":      {"there must be one SSH public key, and no options", "name a file as ssh-keygen makes it (KEY.pub)"},
	"sshsig.weak":         {"the RSA key has {bits} bits, and {least} are the least", "make another one: `ssh-keygen -t ed25519`"},
	"sshsig.type":         {"keys of type {type} are not taken", "make another one: `ssh-keygen -t ed25519`"},
	"sshsig.signature":    {"it is no SSH signature", "make one with `ssh-keygen -Y sign -n oshirase-approval-v1 -f KEY sheet.txt`"},
	"sshsig.other-key":    {"the signature is by another key, {fingerprint}", "look at `oshirase person list` for the key that is registered"},
	"sshsig.untouched":    {"the signature was made without a touch of the security key", "sign again, and touch the key"},
	"sshsig.wrong":        {"the signature is not one over this text", "print the text anew with `oshirase campaign sheet`, or that of the change, and sign exactly this file"},
	"sshsig.sign":         {"the key did not sign", ""},
	"sshsig.file":         {"the key cannot be read", ""},
	"sshsig.private":      {"{file}: it is no private key that can be used", "name a private key, or a .pub whose private half ssh-agent has"},
	"sshsig.passphrase":   {"{file} has a passphrase, and there is no terminal to ask for it", "add the key to ssh-agent: `ssh-add {file}`"},
	"sshsig.no-agent":     {"{file} is a public key, and there is no ssh-agent (SSH_AUTH_SOCK) that has the private one", "start ssh-agent and add the key with `ssh-add`"},
	"sshsig.agent":        {"the ssh-agent does not answer", "look at SSH_AUTH_SOCK"},
	"sshsig.not-in-agent": {"the ssh-agent does not have the key {fingerprint}", "add it with `ssh-add`"},
}
