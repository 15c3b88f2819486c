/**
 * The Account's tables. One entry is one version, never changed after it was released: an object that wakes up runs those it
 * has not run yet. Times are milliseconds since the epoch.
 */
const versions = [
	`
	CREATE TABLE keys (
		hash TEXT PRIMARY KEY,        -- SHA-256 of the whole key
		name TEXT NOT NULL,
		created_at INTEGER NOT NULL
	) WITHOUT ROWID;

	CREATE TABLE generations (
		id TEXT PRIMARY KEY,
		request TEXT NOT NULL,        -- JSON, every default filled in
		status TEXT NOT NULL,
		epoch INTEGER NOT NULL,       -- counts the attempts; only the latest one's callbacks count
		run TEXT,                     -- who was granted the epoch
		lease_until INTEGER,
		done INTEGER,
		total INTEGER,
		inference_ms REAL,
		failure TEXT,
		failure_detail TEXT,
		created_at INTEGER NOT NULL,
		started_at INTEGER,
		completed_at INTEGER
	);

	CREATE TABLE pictures (
		generation TEXT NOT NULL,
		n INTEGER NOT NULL,
		key TEXT NOT NULL,            -- key, size, etag and captured_at are the receipt: what the edge saw in R2, and when
		size INTEGER NOT NULL,
		etag TEXT NOT NULL,
		captured_at INTEGER NOT NULL,
		content_type TEXT NOT NULL,
		width INTEGER NOT NULL,
		height INTEGER NOT NULL,
		seed INTEGER NOT NULL,
		PRIMARY KEY (generation, n)
	) WITHOUT ROWID;

	CREATE TABLE due (
		kind TEXT NOT NULL,
		subject TEXT NOT NULL,
		at INTEGER NOT NULL,
		tries INTEGER NOT NULL DEFAULT 0,
		PRIMARY KEY (kind, subject)
	) WITHOUT ROWID;
	CREATE INDEX due_at ON due (at);
	`,
	`
	-- checkpointed: the epoch whose checkpoint in R2 is the latest; yields: attempts that ended because their node was stopped
	ALTER TABLE generations ADD COLUMN checkpointed INTEGER;
	ALTER TABLE generations ADD COLUMN yields INTEGER NOT NULL DEFAULT 0;
	`,
	`
	-- JSON
	ALTER TABLE generations ADD COLUMN warnings TEXT NOT NULL DEFAULT '[]';
	`,
	`
	ALTER TABLE generations ADD COLUMN key TEXT;                   -- the hash of the key that ordered it
	ALTER TABLE generations ADD COLUMN model TEXT;
	ALTER TABLE generations ADD COLUMN priority TEXT NOT NULL DEFAULT 'normal';
	ALTER TABLE generations ADD COLUMN deadline INTEGER;
	ALTER TABLE generations ADD COLUMN url_ttl INTEGER NOT NULL DEFAULT 3600;   -- seconds
	ALTER TABLE generations ADD COLUMN deleted_at INTEGER;         -- request is {} from then on; the row and its receipts stay
	UPDATE generations SET model = json_extract(request, '$.model');
	`,
	`
	ALTER TABLE keys ADD COLUMN id TEXT;
	ALTER TABLE keys ADD COLUMN scopes TEXT NOT NULL DEFAULT '["generate","read"]';   -- JSON
	ALTER TABLE keys ADD COLUMN last_used_at INTEGER;
	ALTER TABLE keys ADD COLUMN expires_at INTEGER;
	ALTER TABLE keys ADD COLUMN revoked_at INTEGER;
	UPDATE keys SET id = 'key_' || lower(hex(randomblob(13)));
	CREATE UNIQUE INDEX keys_id ON keys (id);

	-- Amounts are micro-units.
	ALTER TABLE generations ADD COLUMN price INTEGER NOT NULL DEFAULT 0;      -- of one picture
	ALTER TABLE generations ADD COLUMN count INTEGER NOT NULL DEFAULT 1;
	ALTER TABLE generations ADD COLUMN refunded INTEGER NOT NULL DEFAULT 0;
	UPDATE generations SET count = coalesce(json_extract(request, '$.count'), 1);

	CREATE TABLE ledger (
		id INTEGER PRIMARY KEY AUTOINCREMENT,
		at INTEGER NOT NULL,
		kind TEXT NOT NULL,           -- says from where to where (ledger.ts)
		amount INTEGER NOT NULL CHECK (amount > 0),
		generation TEXT,
		picture INTEGER,
		reference TEXT
	);
	CREATE UNIQUE INDEX captures ON ledger (generation, picture) WHERE kind = 'capture';
	CREATE UNIQUE INDEX credits ON ledger (reference) WHERE reference IS NOT NULL;

	-- One row; what the ledger's entries sum up to.
	CREATE TABLE balance (
		funds INTEGER NOT NULL,
		available INTEGER NOT NULL CHECK (available >= 0),
		held INTEGER NOT NULL CHECK (held >= 0),
		charged INTEGER NOT NULL CHECK (charged >= 0),
		CHECK (funds + available + held + charged = 0)
	);
	INSERT INTO balance VALUES (0, 0, 0, 0);

	CREATE TABLE usage (
		day TEXT NOT NULL,
		key TEXT NOT NULL,
		model TEXT NOT NULL,
		pictures INTEGER NOT NULL,
		amount INTEGER NOT NULL,
		PRIMARY KEY (day, key, model)
	) WITHOUT ROWID;
	`,
	`
	ALTER TABLE generations ADD COLUMN webhook TEXT;   -- JSON: url, events

	CREATE TABLE endpoints (
		id TEXT PRIMARY KEY,
		url TEXT NOT NULL,
		events TEXT NOT NULL,         -- JSON
		enabled INTEGER NOT NULL,
		created_at INTEGER NOT NULL
	) WITHOUT ROWID;

	CREATE TABLE deliveries (
		id TEXT PRIMARY KEY,          -- the webhook-id of every attempt
		endpoint TEXT,                -- null: the generation's own webhook
		lane TEXT NOT NULL,           -- the origin of the URL
		url TEXT NOT NULL,
		type TEXT NOT NULL,
		generation TEXT,
		n INTEGER,                    -- the picture that an image event is about
		at INTEGER NOT NULL,          -- of the event
		status TEXT NOT NULL,
		tries INTEGER NOT NULL DEFAULT 0,
		due_at INTEGER NOT NULL,
		attempts TEXT NOT NULL DEFAULT '[]'   -- JSON, the latest ones
	) WITHOUT ROWID;
	CREATE INDEX deliveries_due ON deliveries (lane, due_at) WHERE status = 'pending';
	`,
	`
	ALTER TABLE keys ADD COLUMN limits TEXT NOT NULL DEFAULT '{}';    -- JSON

	-- How far the account ('') and each key (its hash) have used up their limits.
	CREATE TABLE allowances (
		subject TEXT PRIMARY KEY,
		arrival REAL NOT NULL DEFAULT 0,          -- GCRA's theoretical arrival time
		in_flight INTEGER NOT NULL DEFAULT 0 CHECK (in_flight >= 0),
		held INTEGER NOT NULL DEFAULT 0 CHECK (held >= 0)
	) WITHOUT ROWID;
	INSERT INTO allowances (subject, in_flight, held)
		SELECT coalesce(key, ''), sum(count), sum(price * (count - (SELECT count(*) FROM pictures WHERE generation = id)))
		FROM generations WHERE status IN ('queued', 'processing') GROUP BY 1;
	INSERT INTO allowances (subject, in_flight, held)
		SELECT '', coalesce(sum(in_flight), 0), coalesce(sum(held), 0) FROM allowances WHERE true
		ON CONFLICT DO UPDATE SET in_flight = excluded.in_flight, held = excluded.held;

	-- Orders that may be sent again, by the name that says so.
	CREATE TABLE repeats (
		name TEXT PRIMARY KEY,
		fingerprint TEXT NOT NULL,
		generation TEXT NOT NULL,
		until INTEGER NOT NULL
	) WITHOUT ROWID;
	CREATE INDEX repeats_until ON repeats (until);
	-- seen_at: when its end was first told to a client that asked
	ALTER TABLE generations ADD COLUMN seen_at INTEGER;
	`,
	`
	CREATE TABLE batches (
		id TEXT PRIMARY KEY,          -- under which every sink is told of it
		minute INTEGER NOT NULL,
		model TEXT NOT NULL,
		price INTEGER NOT NULL,       -- micro-units for each picture
		pictures INTEGER NOT NULL
	) WITHOUT ROWID;
	CREATE INDEX batches_minute ON batches (minute);

	CREATE TABLE metered (
		batch TEXT NOT NULL,
		generation TEXT NOT NULL,
		n INTEGER NOT NULL,
		PRIMARY KEY (batch, generation, n)
	) WITHOUT ROWID;
	CREATE UNIQUE INDEX metered_once ON metered (generation, n);

	CREATE TABLE meter_events (
		batch TEXT NOT NULL,
		sink TEXT NOT NULL,
		state TEXT NOT NULL,
		due_at INTEGER NOT NULL,
		tries INTEGER NOT NULL DEFAULT 0,
		unknown_since INTEGER,        -- when the first attempt was made of which nobody knows whether it was counted
		sent_at INTEGER,
		error TEXT,
		PRIMARY KEY (batch, sink)
	) WITHOUT ROWID;
	CREATE INDEX meter_events_pending ON meter_events (sink, batch) WHERE state = 'pending';
	`,
	`
	-- place: in the queue (lineup.ts), null while it waits for room; removed_at: when its objects were removed from R2
	ALTER TABLE generations ADD COLUMN place INTEGER;
	ALTER TABLE generations ADD COLUMN removed_at INTEGER;
	UPDATE generations SET place = 1 WHERE status IN ('queued', 'processing');
	CREATE INDEX lineup ON generations (model, place, priority DESC, id, count) WHERE status = 'queued';
	INSERT OR IGNORE INTO due (kind, subject, at)
		SELECT 'erase', id, completed_at + 30 * 86400000 FROM generations WHERE completed_at IS NOT NULL;

	-- When work of a model was last started.
	CREATE TABLE lines (
		model TEXT PRIMARY KEY,
		moved_at INTEGER NOT NULL
	) WITHOUT ROWID;

	CREATE TABLE inputs (
		upload TEXT NOT NULL,
		generation TEXT NOT NULL,
		PRIMARY KEY (upload, generation)
	) WITHOUT ROWID;
	CREATE INDEX inputs_of ON inputs (generation);
	`,
	`
	-- The generation that was refunded, whose pictures are counted below zero.
	ALTER TABLE batches ADD COLUMN refund TEXT;
	`,
	`
	-- An order waits for each page that it writes: ids that only grow need no sequence beside them, and the account's
	-- balance is in the row that an order changes anyway.
	CREATE TABLE entries (
		id INTEGER PRIMARY KEY,
		at INTEGER NOT NULL,
		kind TEXT NOT NULL,           -- says from where to where (ledger.ts)
		amount INTEGER NOT NULL CHECK (amount > 0),
		generation TEXT,
		picture INTEGER,
		reference TEXT
	);
	INSERT INTO entries SELECT id, at, kind, amount, generation, picture, reference FROM ledger;
	DROP TABLE ledger;
	ALTER TABLE entries RENAME TO ledger;
	CREATE UNIQUE INDEX captures ON ledger (generation, picture) WHERE kind = 'capture';
	CREATE UNIQUE INDEX credits ON ledger (reference) WHERE reference IS NOT NULL;

	-- The account ('') and each key (its hash): how far they have used up their limits. The account's balance is what the ledger's entries sum up to.
	CREATE TABLE tallies (
		subject TEXT PRIMARY KEY,
		arrival REAL NOT NULL DEFAULT 0,          -- GCRA's theoretical arrival time
		in_flight INTEGER NOT NULL DEFAULT 0 CHECK (in_flight >= 0),
		held INTEGER NOT NULL DEFAULT 0 CHECK (held >= 0),
		available INTEGER NOT NULL DEFAULT 0 CHECK (available >= 0),
		charged INTEGER NOT NULL DEFAULT 0 CHECK (charged >= 0),
		funds INTEGER NOT NULL DEFAULT 0,
		CHECK (subject <> '' OR funds + available + held + charged = 0)
	) WITHOUT ROWID;
	INSERT INTO tallies (subject, arrival, in_flight, held) SELECT subject, arrival, in_flight, held FROM allowances WHERE subject <> '';
	INSERT INTO tallies (subject, arrival, in_flight, held, available, charged, funds)
		SELECT '', coalesce(arrival, 0), coalesce(in_flight, 0), balance.held, available, charged, funds
		FROM balance LEFT JOIN allowances ON subject = '';
	DROP TABLE allowances;
	DROP TABLE balance;
	`,
	`
	ALTER TABLE generations ADD COLUMN start_deadline INTEGER;
	`,
	`
	-- lost: attempts in a row that were not heard of again, none of which got further than another; reached: evaluations that were done by then
	ALTER TABLE generations ADD COLUMN lost INTEGER NOT NULL DEFAULT 0;
	ALTER TABLE generations ADD COLUMN reached INTEGER NOT NULL DEFAULT 0;
	UPDATE generations SET lost = epoch - 1 - yields;
	ALTER TABLE generations DROP COLUMN yields;
	`,
	`
	-- lineage: the hash of the first of those keys that were rotated one into the next, which share their limits; a tally's subject
	ALTER TABLE keys ADD COLUMN lineage TEXT NOT NULL DEFAULT '';
	UPDATE keys SET lineage = hash;
	CREATE INDEX keys_lineage ON keys (lineage);
	`,
	`
	-- Ranges of the oldest generations that were moved to R2 with their entries and receipts (archives.ts), and what each adds to the books.
	CREATE TABLE archives (
		last TEXT PRIMARY KEY,        -- the ids of its first and last generation
		first TEXT NOT NULL,
		at INTEGER NOT NULL,
		generations INTEGER NOT NULL,
		pictures INTEGER NOT NULL,    -- those that usage counts
		entries INTEGER NOT NULL,
		hold INTEGER NOT NULL,        -- the sums of its entries by kind
		capture INTEGER NOT NULL,
		release INTEGER NOT NULL,
		refund INTEGER NOT NULL,
		size INTEGER NOT NULL,        -- of the object in R2
		sha256 TEXT NOT NULL
	) WITHOUT ROWID;
	-- What of it is in archives.
	ALTER TABLE usage ADD COLUMN archived_pictures INTEGER NOT NULL DEFAULT 0;
	ALTER TABLE usage ADD COLUMN archived_amount INTEGER NOT NULL DEFAULT 0;
	ALTER TABLE batches ADD COLUMN archived INTEGER NOT NULL DEFAULT 0;
	CREATE INDEX batches_refund ON batches (refund) WHERE refund IS NOT NULL;
	-- of the account: the highest id of an entry that was archived; ids only grow
	ALTER TABLE tallies ADD COLUMN archived_entry INTEGER NOT NULL DEFAULT 0;

	-- Captures have an index, and holds are in the order of their generations: of these alone nobody knows where they are.
	CREATE INDEX returns ON ledger (generation) WHERE kind IN ('release', 'refund');
	INSERT INTO due (kind, subject, at) SELECT 'archive', 'books', 0 WHERE EXISTS (SELECT 1 FROM generations);
	`,

	`
	-- When work of a model and a priority was last started.
	ALTER TABLE lines RENAME TO lines_of_models;
	CREATE TABLE lines (
		model TEXT NOT NULL,
		priority TEXT NOT NULL,
		moved_at INTEGER NOT NULL,
		PRIMARY KEY (model, priority)
	) WITHOUT ROWID;
	INSERT INTO lines SELECT model, priorities.value, moved_at FROM lines_of_models, json_each('["low", "normal"]') priorities;
	DROP TABLE lines_of_models;
	`
]

/** `to`: as how many versions there were once, so that tests can make an older account. */
export function migrate(storage: DurableObjectStorage, to = versions.length): void {
	const from = storage.kv.get<number>('schema') ?? 0
	if (from > versions.length) {
		// What is missing, or means something else by now, nobody can know here.
		throw new Error(
			`Expected an account's tables of version ${versions.length} or older, got version ${from}: a newer Darkroom has been here; deploy that one, or a later one`
		)
	}
	if (from >= to) {
		return
	}
	storage.transactionSync(() => {
		for (const version of versions.slice(from, to)) {
			storage.sql.exec(version)
		}
		storage.kv.put('schema', to)
	})
}
