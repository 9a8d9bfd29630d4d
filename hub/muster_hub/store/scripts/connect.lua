#!lua
-- Registers a connection that authenticated, and checks the device's chain of keys and its continuity token.
-- KEYS: 1 device, 2 instances, 3 peers, 4 session_index, 5 watchers, 6 outbox, 7 grants, 8 uses, 9 stated,
--   10 enrolled
-- ARGV: 1 not_after (ms), 2 client, 3 fingerprints of all its keys, genesis first, in one string, 4 role, 5 its row in
--   instances, 6 instance id, 7 compat row, 8 card (encoded Signed), 9 card's serial, 10 card's hash, 11 counter of a
--   genuine continuity token (0: none was shown), 12 a time (ms, by this clock) before which the challenge was not sent,
--   13 1: only enrolled devices may connect
-- Effect: a new connection number, larger than any before. An agent takes the seat, a command line the place of the
--   oldest where MAX_CLI_INSTANCES are connected. The row of the same process is replaced; after a rotation every other
--   row is. A longer chain is a rotation, and a token older than the last confirmed a suspected clone: both raise `ver`
--   and leave a cut in the outbox for every session in the index. A rotation deletes what the retired keys signed: trust,
--   grants, the card, and the serial of the newest. An agent gets the counter of its next token. What the hub has of the
--   device is kept from now on (keep_device).
-- Returns: {number, issued (0: no token), standing, newest serial, number of its statements' newest change (0: none),
--   {superseded number, row, ...}, {indexed session, ...}, {watching node, ...}, {why of a cut, its ver, ...},
--   bytes of the card if it was kept now else 0}.
-- Errors: not_enrolled (before all else), key_mismatch (an older chain than the hub's, or another one; either is recorded), device_revoked, expired (a
--   command line's token was followed by another while it connected).
-- Again: a repeat is the same process connecting once more: it takes its own row's place under a larger number.
local device, instances, peers, session_index, watchers, outbox, grants, uses, stated, enrolled = unpack(KEYS)
local _, client, shown, role, instance_row, instance, compat, card, card_serial, card_hash, presented, challenged_ms,
  only_enrolled =
  unpack(ARGV)
if only_enrolled == '1' and redis.call('HEXISTS', enrolled, client) == 0 then
  return refuse('not_enrolled')
end
local RECUT_MS, FINGERPRINT_BYTES, LOST_TOKENS = 60000, 32, 16777216

local chain, ver, standing, last_number, confirmed, last_issued, newest_serial, rotated_ms,
  rotated_ver, suspected_ms, suspected_ver, confirmed_ms =
  unpack(redis.call('HMGET', device, 'chain', 'ver', 'standing', 'conn', 'confirmed', 'issued', 'serial',
    'rotated_ms', 'rotated_ver', 'suspected_ms', 'suspected_ver', 'confirmed_ms'))
chain, ver, standing = chain or '', tonumber(ver or 0), standing or ''
local current = shown:sub(-FINGERPRINT_BYTES)

local function record(kind, outcome, reason)
  add_entry(outbox, 'record', device_record(kind, client, '', outcome, reason, card_hash))
end

-- The connection proved a key that is not the device's: the record is about the device, and names no actor.
local function refuse_key(kind)
  add_entry(outbox, 'record', device_record(kind, '', client, 'refused', 'key_mismatch', card_hash))
  return refuse('key_mismatch')
end

-- The chain: the same keys, more of them, fewer, or others.
local rotated = false
if chain ~= '' and chain ~= shown then
  if shown:sub(1, #chain) == chain then
    rotated = true
  elseif chain:sub(1, #shown) == shown then
    return refuse_key('key_retired')
  else
    return refuse_key('key_forked')
  end
end
if standing == 'device_revoked' then
  return refuse('device_revoked')
end

-- Continuity. A command line read its token after the challenge. It may show an older one only where the agent confirmed
-- the next one since then: it reads the token again, since a copy can hold its `hello` back until that.
presented, confirmed, last_issued = tonumber(presented), tonumber(confirmed or 0), tonumber(last_issued or 0)
-- No restore explains a larger one: a thief of the hub's key made it.
if role == 'agent' and presented > last_issued + LOST_TOKENS then presented = 0 end
local behind = presented < confirmed
if behind and role == 'cli' and tonumber(confirmed_ms or 0) >= tonumber(challenged_ms) then
  return refuse('expired')
end

-- The place: an agent takes the one seat, a command line one of MAX_CLI_INSTANCES, so that a copy of the device's data
-- keeps neither from it. After a rotation no other connection stays: each proved itself with a key that is retired now.
local superseded, clis = {}, {}
local function supersede(taken_number, row)
  redis.call('HDEL', instances, taken_number)
  superseded[#superseded + 1] = taken_number
  superseded[#superseded + 1] = row
end
local rows = redis.call('HGETALL', instances)
for i = 1, #rows, 2 do
  local row = cmsgpack.unpack(rows[i + 1])
  if rotated or row[INSTANCE.instance] == instance or (role == 'agent' and row[INSTANCE.role] == 'agent') then
    supersede(rows[i], rows[i + 1])
  elseif row[INSTANCE.role] == 'cli' then
    clis[#clis + 1] = {tonumber(rows[i]), rows[i], rows[i + 1]}
  end
end
if role == 'cli' and #clis >= MAX_CLI_INSTANCES then
  table.sort(clis, function(one, other) return one[1] < other[1] end)
  supersede(clis[1][2], clis[1][3])
end
local number = math.max(tonumber(last_number or 0) + 1, now_ms)
redis.call('HSET', instances, text(number), instance_row)
redis.call('HSET', device, 'conn', text(number), 'fp', current, 'chain', shown, 'compat', compat)

-- What restricts: a rotation, and a suspected clone. For a minute each is cut again under its ver, because the answer to
-- the first connection may have got lost before the cuts were made. The outbox has them from the first time.
local cuts, sessions = {}, nil
local function cut(why, cut_ver)
  sessions = sessions or indexed_sessions(session_index)
  cuts[#cuts + 1] = why
  cuts[#cuts + 1] = cut_ver
end
local function restrict(why)
  ver = ver + 1
  cut(why, ver)
  add_cuts(outbox, client, sessions, ver, why, why == 'rotation' and current or '')
end
local function is_recent(at_ms)
  return now_ms - tonumber(at_ms or 0) < RECUT_MS
end
if rotated then
  -- What a retired key signed, a thief may have signed. The device states again what its own store holds. `uses` stay,
  -- so that no grant that is stated again has its use back.
  redis.call('DEL', peers, grants, stated)
  redis.call('HDEL', device, 'serial', 'card', 'card_serial', 'card_hash')
  newest_serial = nil
  note_change(device)
  redis.call('HSET', device, 'seat', '0')
  record('key_rotated', 'done', '')
  restrict('rotation')
  redis.call('HSET', device, 'rotated_ms', text(now_ms), 'rotated_ver', text(ver))
elseif is_recent(rotated_ms) then
  cut('rotation', tonumber(rotated_ver))
end

local issued = 0
if behind then
  if standing == '' then
    standing = 'clone_suspected'
    record('clone_suspected', 'done', 'clone_suspected')
    restrict('clone_suspected')
    redis.call('HSET', device, 'suspected_ms', text(now_ms), 'suspected_ver', text(ver))
  elseif is_recent(suspected_ms) then
    cut('clone_suspected', tonumber(suspected_ver))
  end
end
if role == 'agent' then
  redis.call('HSET', device, 'seat', text(number))
  if presented > last_issued and chain ~= '' then
    record('hub_restored', 'done', 'hub_restored')
  end
  issued = math.max(last_issued, presented) + 1
  redis.call('HSET', device, 'issued', text(issued))
  raise_confirmed(device, confirmed, presented)
end
redis.call('HSET', device, 'ver', text(ver), 'standing', standing)

-- The card of a device that trusts no device is not kept, unless it takes the device out of sessions.
local kept_card = 0
if redis.call('HLEN', peers) > 0 or (rotated and #sessions > 0) then
  kept_card = keep_card(device, card, card_serial, card_hash)
end
keep_device(device, instances, peers, grants, uses, stated)
local changes = tonumber(redis.call('HGET', device, 'changes') or 0)
return {number, issued, standing, tonumber(newest_serial or 0), changes, superseded, sessions or {},
  watching_nodes(watchers), cuts, kept_card}
