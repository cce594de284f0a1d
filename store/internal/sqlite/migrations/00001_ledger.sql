-- +goose Up

-- References of the tables that grow with people are deferred to the commit, and
-- recipient has no CHECK that calls a function: a statement of many rows then
-- needs no journal of its own to abort halfway, which would cost as much again.
-- Times are unix milliseconds, UTC. Small integers (num) stand for the textual
-- ids inside the database; people see the ids.

-- The one random secret of this database, wrapped by the master key: opening it
-- proves the key; reference numbers and tokens are derived from it. Two rows hold the
-- same secret, while the master key is being changed.
CREATE TABLE secret (
  master  TEXT    PRIMARY KEY, -- id of the master key
  wrapped BLOB    NOT NULL,
  made_at INTEGER NOT NULL
);

CREATE TABLE incident (
  code BLOB, -- keyed; see store/code.go
  num              INTEGER PRIMARY KEY,
  id               TEXT    NOT NULL UNIQUE,
  facts            TEXT    NOT NULL CHECK (json_valid(facts)),
  digest           TEXT    NOT NULL,
  revision         INTEGER NOT NULL DEFAULT 1,
  key_id           TEXT    NOT NULL UNIQUE, -- names the key in the keyring; random
  key_destroyed_at INTEGER, -- NULL: it is to be there
  applied_at       INTEGER NOT NULL
);

CREATE TABLE exposure (
  code BLOB, -- keyed; see store/code.go
  num       INTEGER PRIMARY KEY,
  incident  INTEGER NOT NULL REFERENCES incident,
  id        TEXT    NOT NULL,
  ord       INTEGER NOT NULL,
  certainty TEXT    NOT NULL CHECK (certainty IN ('possible', 'leaked', 'confirmed')),
  UNIQUE (incident, id)
);

CREATE TABLE merchant (
  code BLOB, -- keyed; see store/code.go
  num        INTEGER PRIMARY KEY,
  id         TEXT    NOT NULL UNIQUE,
  facts      TEXT    NOT NULL CHECK (json_valid(facts)),
  digest     TEXT    NOT NULL,
  revision   INTEGER NOT NULL DEFAULT 1,
  applied_at INTEGER NOT NULL
);

-- The people of one merchant in one incident: revision is bumped by every import that
-- changes any of them. people and exposed are sums of the keyed codes of their rows and
-- of their exposures' (store/seal, bound.go): none is missing, invented or changed.
CREATE TABLE population (
  incident   INTEGER NOT NULL REFERENCES incident,
  merchant   INTEGER NOT NULL REFERENCES merchant,
  revision   INTEGER NOT NULL DEFAULT 1,
  recipients INTEGER NOT NULL DEFAULT 0,
  people     BLOB    NOT NULL CHECK (length(people) = 16),
  exposed    BLOB    NOT NULL CHECK (length(exposed) = 16),
  code       BLOB, -- keyed, of the row; see store/code.go
  PRIMARY KEY (incident, merchant)
) WITHOUT ROWID;

-- The recipients that a list brought are numbered from first_id on without a gap:
-- those of all its lists are a population. The checksum of the file is personal (a
-- guess can be tried against it): it is sealed, and looked for by a keyed one.
CREATE TABLE list (
  code BLOB, -- keyed; see store/code.go
  num        INTEGER PRIMARY KEY,
  id         TEXT    NOT NULL UNIQUE,
  incident   INTEGER NOT NULL REFERENCES incident,
  merchant   INTEGER NOT NULL REFERENCES merchant,
  name       TEXT    NOT NULL,
  size       INTEGER NOT NULL, -- bytes of the file; 0: not known
  sum_key    BLOB,             -- 16 bytes, of the checksum and of how the file was read
  sealed     BLOB,             -- the checksum
  info       TEXT    NOT NULL CHECK (json_valid(info)), -- a mailer.ListInfo without the checksum
  encoding   TEXT    NOT NULL,
  rows       INTEGER NOT NULL,
  imported   INTEGER NOT NULL,
  updated    INTEGER NOT NULL,
  duplicates INTEGER NOT NULL,
  rejected   INTEGER NOT NULL,
  named      BLOB,             -- sum of the keyed codes of its mentions (store/seal, bound.go): none is missing, invented or changed
  revision   INTEGER NOT NULL, -- of the population once the list was in
  first_id   INTEGER NOT NULL,
  at         INTEGER NOT NULL
);
CREATE INDEX list_population ON list (incident, merchant, size);

-- Lists that named a recipient whom an earlier one had brought. Where the list said
-- something else of that person, was is what stood there before, sealed: with it the
-- list can be taken back.
CREATE TABLE mention (
  list      INTEGER NOT NULL REFERENCES list DEFERRABLE INITIALLY DEFERRED,
  recipient INTEGER NOT NULL REFERENCES recipient DEFERRABLE INITIALLY DEFERRED,
  was       BLOB,
  PRIMARY KEY (list, recipient)
) WITHOUT ROWID;

-- One person of one merchant in one incident. What the list says of the person
-- is sealed; the keys are blind indexes under the incident's key, and bound to the
-- merchant. Those of 32 bits only lead to candidates, which are opened and compared.
-- The reference number is a permutation of the id and needs no column. Purging a
-- person, or taking back the list that brought it, blanks the row (no keys, nothing
-- sealed) and keeps it: nothing is ever numbered anew.
CREATE TABLE recipient (
  id         INTEGER PRIMARY KEY,
  incident   INTEGER NOT NULL REFERENCES incident DEFERRABLE INITIALLY DEFERRED,
  merchant   INTEGER NOT NULL REFERENCES merchant DEFERRABLE INITIALLY DEFERRED,
  person_key BLOB,             -- 16 bytes; NULL where the row is blank
  email_key  INTEGER,          -- 32 bits, as the next two
  phone_key  INTEGER,
  kana_key   INTEGER,
  similar_key INTEGER,         -- of the customer number as people misread it
  bound      INTEGER NOT NULL, -- keyed code of id, keys and sealed: rows cannot be exchanged unseen; 0 where the row is blank
  sealed     BLOB    NOT NULL
);
CREATE UNIQUE INDEX recipient_person ON recipient (person_key);
CREATE INDEX recipient_email ON recipient (email_key) WHERE email_key IS NOT NULL;
-- None by phone_key, kana_key and similar_key: a look-up that reads all recipients takes a few
-- tenths of a second for millions, and two indexes a fifth of every import.

CREATE TABLE recipient_exposure (
  recipient INTEGER NOT NULL REFERENCES recipient DEFERRABLE INITIALLY DEFERRED,
  exposure  INTEGER NOT NULL REFERENCES exposure DEFERRABLE INITIALLY DEFERRED,
  list      INTEGER NOT NULL REFERENCES list DEFERRABLE INITIALLY DEFERRED,
  certainty TEXT    CHECK (certainty IN ('possible', 'leaked', 'confirmed')), -- of this person; NULL: the exposure's
  items     TEXT    CHECK (json_type(items) = 'array'),                       -- of this person; NULL: the exposure's
  PRIMARY KEY (recipient, exposure)
) WITHOUT ROWID;

-- Who may act. A person ends and never vanishes.
CREATE TABLE person (
  code BLOB, -- keyed; see store/code.go
  num         INTEGER PRIMARY KEY,
  id          TEXT    NOT NULL,
  name        TEXT    NOT NULL,
  roles       TEXT    NOT NULL CHECK (json_type(roles) = 'array'),
  merchants   TEXT    NOT NULL CHECK (json_type(merchants) = 'array'), -- empty: all
  ssh_key     TEXT    NOT NULL DEFAULT '', -- public, in the form of authorized_keys
  os_user     TEXT    NOT NULL DEFAULT '',
  valid_from  INTEGER NOT NULL,
  valid_until INTEGER -- NULL: until further notice
);
CREATE UNIQUE INDEX person_valid ON person (id) WHERE valid_until IS NULL;

CREATE TABLE campaign (
  code BLOB, -- keyed; see store/code.go
  num         INTEGER PRIMARY KEY,
  id          TEXT    NOT NULL UNIQUE,
  name        TEXT    NOT NULL,
  incident    INTEGER NOT NULL REFERENCES incident DEFERRABLE INITIALLY DEFERRED,
  merchant    INTEGER NOT NULL REFERENCES merchant DEFERRABLE INITIALLY DEFERRED,
  channel     TEXT    NOT NULL DEFAULT 'email' CHECK (channel IN ('email', 'letter')),
  stage       TEXT    NOT NULL CHECK (stage IN ('first-warning', 'formal', 'follow-up', 'correction')),
  cause       TEXT    NOT NULL DEFAULT '', -- of a follow-up or correction: each cause is told once
  exposures   TEXT    NOT NULL CHECK (json_type(exposures) = 'array'),
  certainty   TEXT    NOT NULL CHECK (certainty IN ('', 'possible', 'leaked', 'confirmed')),
  at          INTEGER,
  hours       TEXT    NOT NULL,
  days        TEXT    NOT NULL,
  per_hour    INTEGER NOT NULL CHECK (per_hour >= 0),
  phase       TEXT    NOT NULL CHECK (phase IN ('draft', 'checked', 'approved', 'scheduled', 'overdue',
                                                'running', 'paused', 'finished', 'cancelled')),
  reason      TEXT    NOT NULL DEFAULT '',
  halt        TEXT    NOT NULL DEFAULT '', -- a mailer.Halt: why the program paused it by itself; empty: it did not
  created_at  INTEGER NOT NULL,
  started_at  INTEGER,
  ended_at    INTEGER,
  revision    INTEGER NOT NULL DEFAULT 1,
  -- What the check left: the snapshot holds facts of incident and merchant, no personal data.
  snapshot    TEXT    CHECK (snapshot IS NULL OR json_valid(snapshot)),
  result      TEXT    CHECK (result IS NULL OR json_valid(result)),
  notice_on   TEXT    NOT NULL DEFAULT '',
  digest      TEXT    NOT NULL DEFAULT '',
  sendable    INTEGER NOT NULL DEFAULT 0,
  round       INTEGER NOT NULL DEFAULT 0, -- of checks: its deliveries of this round are those that the last one froze
  last_id     INTEGER NOT NULL DEFAULT 0, -- recipients beyond this one came after the check
  check_id    TEXT    NOT NULL DEFAULT '' -- random, of the check that stands
);
CREATE INDEX campaign_population ON campaign (incident, merchant);
CREATE INDEX campaign_phase ON campaign (phase);

CREATE TABLE finding (
  campaign INTEGER NOT NULL REFERENCES campaign,
  n        INTEGER NOT NULL,
  severity TEXT    NOT NULL CHECK (severity IN ('error', 'warning', 'info')),
  rule     TEXT    NOT NULL,
  message  TEXT    NOT NULL,
  ref      TEXT    NOT NULL,
  PRIMARY KEY (campaign, n)
) WITHOUT ROWID;

-- Differences between declared and found people of an exposure that somebody has
-- accepted: with any other number a row says nothing.
CREATE TABLE count_acceptance (
  code BLOB, -- keyed; see store/code.go
  num      INTEGER PRIMARY KEY,
  campaign INTEGER NOT NULL REFERENCES campaign,
  exposure TEXT    NOT NULL, -- its id
  declared INTEGER NOT NULL,
  found    INTEGER NOT NULL,
  who      TEXT    NOT NULL,
  proof    TEXT    NOT NULL,
  reason   TEXT    NOT NULL,
  at       INTEGER NOT NULL
);
CREATE INDEX count_acceptance_campaign ON count_acceptance (campaign);

-- What approvers sign: the text that they read, of one campaign or of several as they
-- were checked.
CREATE TABLE sheet (
  code BLOB, -- keyed; see store/code.go
  num  INTEGER PRIMARY KEY,
  text TEXT    NOT NULL,
  at   INTEGER NOT NULL
);
CREATE TABLE sheet_campaign (
  code BLOB, -- keyed; see store/code.go
  sheet    INTEGER NOT NULL REFERENCES sheet,
  campaign INTEGER NOT NULL REFERENCES campaign,
  check_id TEXT    NOT NULL,
  PRIMARY KEY (sheet, campaign)
) WITHOUT ROWID;
CREATE INDEX sheet_campaign_check ON sheet_campaign (campaign, check_id);

-- who is the name folded as people read it: one person cannot approve twice. An
-- approval that was voided stays, and does not count.
CREATE TABLE approval (
  code BLOB, -- keyed; see store/code.go
  num        INTEGER PRIMARY KEY,
  campaign   INTEGER NOT NULL REFERENCES campaign,
  who        TEXT    NOT NULL,
  name       TEXT    NOT NULL,
  person     TEXT    NOT NULL, -- id; empty: none was registered
  proof      TEXT    NOT NULL CHECK (proof IN ('os-user', 'none', 'ssh-key')),
  count      INTEGER NOT NULL,
  digest     TEXT    NOT NULL,
  check_id   TEXT    NOT NULL,
  at         INTEGER NOT NULL,
  sheet      INTEGER REFERENCES sheet, -- NULL: no signature, and none was made
  ssh_key    TEXT    NOT NULL DEFAULT '', -- that signed
  signature  TEXT    NOT NULL DEFAULT '', -- armored
  voided_at  INTEGER -- NULL: it stands
);
CREATE UNIQUE INDEX approval_stands ON approval (campaign, who) WHERE voided_at IS NULL;

-- What it takes to approve: the last row is in force.
CREATE TABLE policy (
  code BLOB, -- keyed; see store/code.go
  num               INTEGER PRIMARY KEY,
  people            INTEGER NOT NULL CHECK (people > 0),
  proof             TEXT    NOT NULL CHECK (proof IN ('signature', 'name')),
  maker_may_approve INTEGER NOT NULL CHECK (maker_may_approve IN (0, 1)),
  at                INTEGER NOT NULL
);

-- Changes of persons and policy, as they were proposed, and what approvers signed for
-- them where they had to.
CREATE TABLE amendment (
  code BLOB, -- keyed; see store/code.go
  num     INTEGER PRIMARY KEY,
  id      TEXT    NOT NULL UNIQUE,
  kind    TEXT    NOT NULL CHECK (kind IN ('add', 'replace', 'end', 'policy')),
  body    TEXT    NOT NULL CHECK (json_valid(body)), -- a mailer.Member or mailer.Policy
  text    TEXT    NOT NULL, -- what is signed; empty: nobody had to
  who     TEXT    NOT NULL,
  proof   TEXT    NOT NULL,
  at      INTEGER NOT NULL,
  done_at INTEGER -- NULL: it waits for signatures
);
CREATE TABLE consent (
  code BLOB, -- keyed; see store/code.go
  amendment INTEGER NOT NULL REFERENCES amendment,
  person    TEXT    NOT NULL,
  ssh_key   TEXT    NOT NULL,
  signature TEXT    NOT NULL, -- armored
  at        INTEGER NOT NULL,
  PRIMARY KEY (amendment, person, ssh_key) -- who has another key since may sign again
) WITHOUT ROWID;

-- AUTOINCREMENT: an id is never used again, since tokens that stand in envelope
-- senders are made of it. A delivery is claimed (as people see it) while it is queued
-- in a chunk that is leased.
CREATE TABLE delivery (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  campaign   INTEGER NOT NULL REFERENCES campaign DEFERRABLE INITIALLY DEFERRED,
  merchant   INTEGER NOT NULL REFERENCES merchant DEFERRABLE INITIALLY DEFERRED,
  recipient  INTEGER NOT NULL REFERENCES recipient DEFERRABLE INITIALLY DEFERRED,
  round      INTEGER NOT NULL, -- of the check that froze it; see campaign
  try        INTEGER NOT NULL DEFAULT 1, -- 2, 3: again after a soft bounce, under the same approval
  state      TEXT    NOT NULL CHECK (state = 'accepted' OR state = 'sending' OR state = 'queued'
                                     OR state = 'deferred' OR state = 'rejected' OR state = 'unknown' OR state = 'delivered'
                                     OR state = 'bounced' OR state = 'expired' OR state = 'suppressed' OR state = 'cancelled'),
  held       TEXT    NOT NULL DEFAULT '' CHECK (held IN ('', 'person-changed', 'damaged', 'already-notified', 'compose', 'refused', 'refreeze')),
  attempts   INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
  first_at   INTEGER,
  next_at    INTEGER,
  chunk      INTEGER, -- while queued, and not held
  lease      INTEGER NOT NULL DEFAULT 0, -- under which it was last sent: a late outcome is known by it
  hash       BLOB    CHECK (length(hash) = 32),
  told       TEXT    CHECK (json_type(told) = 'array'),
  exposures  TEXT    NOT NULL CHECK (json_type(exposures) = 'array'),
  suppressed TEXT    NOT NULL DEFAULT '',
  grp        TEXT    NOT NULL DEFAULT '', -- domain group of the address
  -- These are checked twice for each message that is sent: the likely and cheap term
  -- stands first, and no list, for which SQLite would build an index.
  CHECK ((state = 'suppressed') = (suppressed <> '')),
  CHECK (next_at IS NOT NULL OR state <> 'deferred'),
  CHECK (lease > 0 OR state <> 'sending'),
  CHECK (chunk IS NOT NULL OR state <> 'queued' OR held <> ''),
  CHECK (first_at IS NOT NULL OR (state <> 'sending' AND state <> 'accepted' AND state <> 'unknown'
                                  AND state <> 'delivered' AND state <> 'bounced')),
  CHECK (hash IS NOT NULL OR state = 'suppressed' OR state = 'cancelled')
);
CREATE UNIQUE INDEX delivery_recipient ON delivery (recipient, campaign, try);
CREATE INDEX delivery_campaign ON delivery (campaign);
CREATE INDEX delivery_deferred ON delivery (campaign, next_at) WHERE state = 'deferred';
CREATE INDEX delivery_unknown ON delivery (campaign) WHERE state = 'unknown';
CREATE INDEX delivery_held ON delivery (campaign, id) WHERE held <> '';

-- What happened to a delivery, oldest first by n. Only ever appended. The leaf with
-- this number of the journal's entry says what stands here, but for n, attempt and
-- merchant, which follow from the rest.
CREATE TABLE event (
  delivery INTEGER NOT NULL,
  n        INTEGER NOT NULL,
  merchant INTEGER NOT NULL,
  at       INTEGER NOT NULL,
  kind     TEXT    NOT NULL CHECK (kind = 'attempt' OR kind IN ('lapse', 'resolve', 'cancel', 'suppress', 'report', 'refusal', 'hold', 'requeue')),
  state    TEXT    NOT NULL, -- that the delivery went to
  attempt  INTEGER NOT NULL,
  relay    TEXT    NOT NULL DEFAULT '',
  point    TEXT    NOT NULL DEFAULT '',
  code     INTEGER NOT NULL DEFAULT 0,
  enhanced TEXT    NOT NULL DEFAULT '',
  text     TEXT    NOT NULL DEFAULT '', -- of the program; holds no personal data
  raw      BLOB,                        -- sealed: what the relay said
  raw_sum  BLOB,                        -- SHA-256 of raw, which the leaf holds, once a purge has blanked that
  chain    INTEGER NOT NULL,
  entry    INTEGER NOT NULL,
  leaf     INTEGER NOT NULL,
  CHECK (raw IS NULL OR raw_sum IS NULL),
  PRIMARY KEY (delivery, n)
) WITHOUT ROWID;

-- +goose StatementBegin
CREATE TRIGGER event_keep_update BEFORE UPDATE ON event
BEGIN SELECT raise(ABORT, 'events are only ever appended'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER event_keep_delete BEFORE DELETE ON event
BEGIN SELECT raise(ABORT, 'events are only ever appended'); END;
-- +goose StatementEnd

-- What came back: a bounce, a complaint, an auto-reply, a returned letter. The hash of
-- what was taken in makes taking it in twice harmless.
CREATE TABLE report (
  num         INTEGER PRIMARY KEY,
  intake_hash BLOB    NOT NULL UNIQUE CHECK (length(intake_hash) = 32),
  delivery    INTEGER REFERENCES delivery, -- NULL: nobody's that is known
  kind        TEXT    NOT NULL,
  received_at INTEGER NOT NULL,
  at          INTEGER NOT NULL,
  sealed      BLOB    -- as it came, under the incident's key
);
CREATE INDEX report_delivery ON report (delivery);

-- The journal: each handle that writes has a chain, and each of its commits in which
-- something happened an entry, whose root is that of the tree (RFC 6962) over the
-- events and acts of the commit. See mailer/journal.
-- A chain that ended is no longer in checkpoints: its last entry is named by an act.
CREATE TABLE chain (
  num      INTEGER PRIMARY KEY,
  id       TEXT    NOT NULL UNIQUE,
  made_at  INTEGER NOT NULL,
  ended_at INTEGER
);
CREATE TABLE entry (
  chain  INTEGER NOT NULL,
  n      INTEGER NOT NULL,
  at     INTEGER NOT NULL,
  leaves INTEGER NOT NULL,
  prev   BLOB    NOT NULL CHECK (length(prev) = 32),
  root   BLOB    NOT NULL CHECK (length(root) = 32),
  hash   BLOB    NOT NULL CHECK (length(hash) = 32),
  code   BLOB    NOT NULL CHECK (length(code) = 16), -- keyed, of the hash: none can be invented
  PRIMARY KEY (chain, n)
) WITHOUT ROWID;
-- +goose StatementBegin
CREATE TRIGGER entry_keep_update BEFORE UPDATE ON entry
BEGIN SELECT raise(ABORT, 'the journal is only ever appended'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER entry_keep_delete BEFORE DELETE ON entry
BEGIN SELECT raise(ABORT, 'the journal is only ever appended'); END;
-- +goose StatementEnd

-- The sum of the codes of all rows that decide what is sent, version by version; each
-- is a leaf of the journal. Only ever appended. See store/code.go.
CREATE TABLE control (
  version INTEGER PRIMARY KEY,
  sum     BLOB    NOT NULL CHECK (length(sum) = 16),
  chain   INTEGER NOT NULL,
  entry   INTEGER NOT NULL,
  leaf    INTEGER NOT NULL,
  code    BLOB    NOT NULL CHECK (length(code) = 16)
);

-- Deliveries of one domain group that are leased together, 256 at most. The queued
-- ones among them are what is still to be sent; a chunk that has none is gone.
CREATE TABLE chunk (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  campaign   INTEGER NOT NULL REFERENCES campaign DEFERRABLE INITIALLY DEFERRED,
  grp        TEXT    NOT NULL,
  lease      INTEGER, -- NULL: nobody has it
  n          INTEGER NOT NULL CHECK (n > 0),
  deliveries TEXT    NOT NULL CHECK (json_type(deliveries) = 'array') -- IDs, ascending
);
CREATE INDEX chunk_free ON chunk (campaign, grp, id) WHERE lease IS NULL;
CREATE INDEX chunk_lease ON chunk (lease) WHERE lease IS NOT NULL;

-- Chunks that one worker may send; the id is the epoch, and is never used again.
CREATE TABLE lease (
  id       INTEGER PRIMARY KEY AUTOINCREMENT,
  campaign INTEGER NOT NULL REFERENCES campaign,
  owner    TEXT    NOT NULL,
  until    INTEGER NOT NULL
);

CREATE TABLE campaign_count (
  campaign INTEGER NOT NULL REFERENCES campaign,
  state    TEXT    NOT NULL,
  n        INTEGER NOT NULL CHECK (n >= 0),
  PRIMARY KEY (campaign, state)
) WITHOUT ROWID;

-- Messages accepted per ten seconds: rate and span of a campaign without
-- touching its deliveries.
CREATE TABLE campaign_tick (
  campaign INTEGER NOT NULL REFERENCES campaign,
  slot     INTEGER NOT NULL, -- unix seconds / 10
  accepted INTEGER NOT NULL,
  first_at INTEGER NOT NULL,
  last_at  INTEGER NOT NULL,
  PRIMARY KEY (campaign, slot)
) WITHOUT ROWID;

-- Theoretical arrival times of the shared limits (GCRA), unix nanoseconds.
CREATE TABLE pace (
  key TEXT    PRIMARY KEY,
  tat INTEGER NOT NULL
) WITHOUT ROWID;

-- Why a campaign, a domain group or a relay is not sent to now, as one worker sees
-- it: for status to show, nothing is decided by it. It stands while its owner lives
-- (see lease) and until it lapses; session tells the runs of one owner apart.
CREATE TABLE wait (
  owner   TEXT    NOT NULL,
  session INTEGER NOT NULL,
  scope   TEXT    NOT NULL CHECK (scope IN ('campaign', 'group', 'relay')),
  name    TEXT    NOT NULL,
  body    TEXT    NOT NULL CHECK (json_valid(body)), -- a mailer.Wait
  lapses  INTEGER NOT NULL,
  PRIMARY KEY (owner, session, scope, name)
) WITHOUT ROWID;

CREATE TABLE schedule_fire (
  schedule TEXT    NOT NULL,
  at       INTEGER NOT NULL,
  PRIMARY KEY (schedule, at)
) WITHOUT ROWID;

-- Who did what. Only ever appended; holds no personal data.
CREATE TABLE act (
  id      INTEGER PRIMARY KEY AUTOINCREMENT,
  at      INTEGER NOT NULL,
  who     TEXT    NOT NULL, -- empty: the program
  proof   TEXT    NOT NULL CHECK (proof IN ('program', 'os-user', 'none', 'ssh-key')),
  action  TEXT    NOT NULL,
  subject TEXT    NOT NULL,
  detail  TEXT    NOT NULL,
  chain   INTEGER NOT NULL,
  entry   INTEGER NOT NULL,
  leaf    INTEGER NOT NULL
);
CREATE INDEX act_entry ON act (chain, entry);
-- +goose StatementBegin
CREATE TRIGGER act_keep_update BEFORE UPDATE ON act
BEGIN SELECT raise(ABORT, 'acts are only ever appended'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER act_keep_delete BEFORE DELETE ON act
BEGIN SELECT raise(ABORT, 'acts are only ever appended'); END;
-- +goose StatementEnd
