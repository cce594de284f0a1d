package store

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"oshirase/mailer"
	"oshirase/store/seal"
)

// seal seals what relays said, bound to the deliveries: it may name people. Where the
// incident's key is gone it is not kept. The result begins with dst.
func (db *DB) seal(ctx context.Context, dst []pending, records []mailer.Record) ([]pending, error) {
	var buf []byte // of what is bound, and what is sealed
	for i := range records {
		r := &records[i]
		dst = append(dst, pending{Record: r})
		if r.Outcome == nil || r.Outcome.Text == "" && r.Outcome.Raw == "" {
			continue
		}
		keys, err := db.replyKeys(ctx, r.Campaign)
		if errors.Is(err, mailer.ErrNotFound) || err == nil && keys == nil {
			continue
		}
		if err != nil {
			return nil, err
		}
		if buf == nil {
			buf = make([]byte, 0, 256) // most replies are shorter
		}
		buf = appendReplyAAD(buf[:0], r.Delivery)
		bound := len(buf)
		buf = appendReply(buf, r.Outcome)
		if dst[len(dst)-1].raw, err = keys.SealBound(db.nonces, buf[bound:], buf[:bound]); err != nil {
			return nil, err
		}
	}
	return dst, nil
}

// replyKeys are the keys of a campaign's incident; nil: they are destroyed. They are not
// asked for again where they are at hand: under a key that was destroyed meanwhile nobody
// can read what is sealed.
func (db *DB) replyKeys(ctx context.Context, campaign string) (*seal.Keys, error) {
	k, err := db.campaignKey(ctx, db.pool(), campaign)
	if err != nil {
		return nil, err
	}
	if at, ok := db.keys.Load(k.incident); ok {
		return at.(*openedKeys).Keys, nil
	}
	return db.keysOrNone(ctx, db.pool(), k.incident)
}

// maxRaw is how much of a reply is kept as it came, in bytes.
const maxRaw = 4096

// appendReply is what is sealed of a reply: its text, cut to be read, and behind a NUL
// the reply as it came, where that is another.
func appendReply(dst []byte, o *mailer.Outcome) []byte {
	text := cut(o.Text)
	dst = append(dst, text...)
	raw := o.Raw
	if raw == "" && text != o.Text {
		raw = o.Text
	}
	if raw != "" {
		dst = append(append(dst, 0), raw[:min(len(raw), maxRaw)]...)
	}
	return dst
}

func appendReplyAAD(dst []byte, delivery int64) []byte {
	return strconv.AppendInt(append(dst, "reply v2\x00"...), delivery, 10)
}

// openReply is the text of a sealed reply, and the reply as it came where that is
// another; both are empty where there is none, or no key.
func openReply(keys *seal.Keys, delivery int64, sealed []byte) (text, raw string, err error) {
	if keys == nil || sealed == nil {
		return "", "", nil
	}
	plain, err := keys.Open(sealed, string(appendReplyAAD(nil, delivery)))
	if err != nil {
		return "", "", mailer.NewError(mailer.ErrDamaged, "reply.damaged", "delivery", delivery)
	}
	text, raw, _ = strings.Cut(string(plain), "\x00")
	return text, raw, nil
}
