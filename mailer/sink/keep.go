package sink

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"oshirase/mailer"
)

// keep writes a message as an .eml file, whose name says when it came and not whom it
// is to: who lists a directory need not be told. It is written under another name first, so that who
// lists the directory sees whole messages only. Nothing but Return-Path (RFC
// 5321 section 4.4) is added.
func keep(dir string, m Received, now time.Time) error {
	name := fmt.Sprintf("%06d-%s.eml", m.Seq, now.In(mailer.JST).Format("20060102T150405"))
	tmp := filepath.Join(dir, "."+name+".part")
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString("Return-Path: <" + m.Sender + ">\r\n")
	if err == nil {
		_, err = f.Write(m.Data)
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(tmp, filepath.Join(dir, name))
	}
	if err != nil {
		_ = os.Remove(tmp)
	}
	return err
}

// lastSequence is the highest number that a message in dir bears.
func lastSequence(dir string) (int64, error) {
	d, err := os.Open(dir)
	if err != nil {
		return 0, err
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return 0, err
	}
	var last int64
	for _, name := range names {
		number, _, ok := strings.Cut(name, "-")
		if !ok || !strings.HasSuffix(name, ".eml") {
			continue
		}
		if n, err := strconv.ParseInt(number, 10, 64); err == nil && n > last {
			last = n
		}
	}
	return last, nil
}
