#!lua
-- Takes a trust or an untrust. An untrust runs as the variant that is carried out when memory is full.
-- KEYS: 1 device, 2 instances, 3 peers, 4 grants, 5 uses, 6 session_index, 7 outbox, 8 stated
-- ARGV: 1 not_after (ms), 2 client, 3 connection number, 4 peer, 5 kind, 6 serial, 7 hash, 8 0: only in the place
--   of another statement about the peer, 9 pinned fingerprint or "", 10 row for peers, 11 row for grants (an untrust ends
--   the grant as well) or "", 12 card, 13 its serial, 14 its hash
-- Effect: of two statements about a peer the higher serial counts, then the higher hash. What restricts raises `ver`
--   and leaves a cut in the outbox for every session in the index. What is taken is recorded. From the first statement on
--   the device is kept for DEVICE_KEPT_MS, and its card.
-- Returns: {verdict, ver, why of the cut or "", {indexed session, ...}, 1 if it trusted or trusts the peer else 0, 1 if
--   it takes a place of its own else 0, bytes of the card if it was kept with it else 0}; the verdict is "taken",
--   "known", "older", "mismatch", or "no_room" for what may not take a place.
-- Errors: superseded (the connection is not current), too_many_peers (MAX_PEERS have a statement).
-- Again: "known". While its cuts are unfinished they are returned once more, under the ver that they have.
local device, instances, peers, grants, uses, session_index, outbox, stated = unpack(KEYS)
local _, client, connection, peer, kind, serial, hash, room, pin, row, grant_row, card, card_serial, card_hash =
  unpack(ARGV)
serial = tonumber(serial)

if redis.call('HEXISTS', instances, connection) == 0 then
  return refuse('superseded')
end
local held = row_in(peers, peer)
if not held and redis.call('HLEN', peers) >= MAX_PEERS then
  return refuse('too_many_peers')
end
if room == '0' and not held and redis.call('HEXISTS', grants, peer) == 0 then
  return {'no_room', 0, '', {}, 0, 0, 0}
end
local trusted = held and held[PEER.kind] == 'trust'
local verdict, wins = 'taken', true
if held then
  verdict, wins = compare(serial, hash, held[PEER.serial], held[PEER.hash])
end
local why, kept_card = '', 0
if wins then
  add_entry(outbox, 'record', device_record(kind, client, peer, 'done', '', hash))
  if trusted and (kind == 'untrust' or held[PEER.fingerprint] ~= pin) then
    why = kind
  end
  redis.call('HSET', peers, peer, row)
  redis.call('ZADD', stated, text(serial), 'peers:' .. peer)
  local ended = kind == 'trust' and row_in(grants, peer)
  if ended and ended[GRANT.kind] == 'revocation' and ended[GRANT.grant_id] == '' then
    -- The untrust that ended the grant is shown for the grant from now on.
    redis.call('ZADD', stated, text(ended[GRANT.serial]), 'grants:' .. peer)
  end
  raise_serial(device, serial)
  note_change(device)
  kept_card = keep_card(device, card, card_serial, card_hash)
end

-- An untrust ends an older grant even where a newer trust stands, so that the order of arrival does not matter. Where
-- MAX_PEERS have a grant and this peer has none, no older grant to it is taken later either, and none has to be ended.
if kind == 'untrust' then
  local grant, ends = row_in(grants, peer), true
  if grant then
    _, ends = compare(serial, hash, grant[GRANT.serial], grant[GRANT.hash])
  end
  if ends and (grant or redis.call('HLEN', grants) < MAX_PEERS) then
    redis.call('HSET', grants, peer, grant_row)
    if wins then
      redis.call('ZREM', stated, 'grants:' .. peer)
    elseif verdict ~= 'known' then
      redis.call('ZADD', stated, text(serial), 'grants:' .. peer)
      add_entry(outbox, 'record', device_record(kind, client, peer, 'done', '', hash))
      note_change(device)
    end
    if grant and grant[GRANT.kind] == 'grant' then
      redis.call('HDEL', uses, grant[GRANT.grant_id])
      why = why ~= '' and why or 'grant'
    end
  end
end
keep_device(device, instances, peers, grants, uses, stated)

local ver, sessions = tonumber(redis.call('HGET', device, 'ver') or 0), {}
if why ~= '' then
  ver = redis.call('HINCRBY', device, 'ver', 1)
  sessions = indexed_sessions(session_index)
  add_cuts(outbox, client, sessions, ver, why, peer)
  if wins and #sessions > 0 then
    begin_cuts(device, 'cuts:peers:' .. peer, hash, ver)
  end
elseif verdict == 'known' and unfinished_ver(device, 'cuts:peers:' .. peer, hash) then
  -- The first answer may have got lost before the cuts were made: they are made again, and the outbox has them already.
  why, ver = kind, unfinished_ver(device, 'cuts:peers:' .. peer, hash)
  sessions = indexed_sessions(session_index)
end
return {verdict, ver, why, sessions, (trusted or kind == 'trust') and 1 or 0, held and 0 or 1, kept_card}
