#!lua
-- Takes a grant or a revocation. A revocation runs as the variant that is carried out when memory is full.
-- KEYS: 1 device, 2 instances, 3 peers, 4 grants, 5 uses, 6 session_index, 7 outbox, 8 stated
-- ARGV: 1 not_after (ms), 2 client, 3 connection number, 4 peer, 5 kind, 6 serial, 7 hash, 8 0: only in the place
--   of another statement about automatic joins with the peer, 9 row for grants, 10 grant id
-- Effect: of all statements about automatic joins with a peer the highest serial counts, then the higher hash. What
--   replaces a grant raises `ver`, ends the uses of the other, and leaves a cut for every session in the index. What is
--   taken is recorded.
-- Returns: as `put_peer`, of which 1 if it trusts the peer else 0; no card is kept.
-- Errors: superseded (the connection is not current), too_many_peers (MAX_PEERS have a grant).
-- Again: "known". While its cuts are unfinished they are returned once more, under the ver that they have.
local device, instances, peers, grants, uses, session_index, outbox, stated = unpack(KEYS)
local _, client, connection, peer, kind, serial, hash, room, row, grant_id = unpack(ARGV)
serial = tonumber(serial)

if redis.call('HEXISTS', instances, connection) == 0 then
  return refuse('superseded')
end
local held = row_in(grants, peer)
if not held and redis.call('HLEN', grants) >= MAX_PEERS then
  return refuse('too_many_peers')
end
if room == '0' and not held then
  return {'no_room', 0, '', {}, 0, 0, 0}
end
local verdict, wins = 'taken', true
if held then
  verdict, wins = compare(serial, hash, held[GRANT.serial], held[GRANT.hash])
end

local why = ''
if wins then
  add_entry(outbox, 'record', device_record(kind, client, peer, 'done', '', hash))
  redis.call('HSET', grants, peer, row)
  redis.call('ZADD', stated, text(serial), 'grants:' .. peer)
  raise_serial(device, serial)
  note_change(device)
  if held and held[GRANT.kind] == 'grant' then
    why = kind
    if held[GRANT.grant_id] ~= grant_id then
      redis.call('HDEL', uses, held[GRANT.grant_id])
    end
  end
  keep_device(device, instances, peers, grants, uses, stated)
end

local ver, sessions = tonumber(redis.call('HGET', device, 'ver') or 0), {}
if why ~= '' then
  ver = redis.call('HINCRBY', device, 'ver', 1)
  sessions = indexed_sessions(session_index)
  add_cuts(outbox, client, sessions, ver, why, peer)
  if wins and #sessions > 0 then
    begin_cuts(device, 'cuts:grants:' .. peer, hash, ver)
  end
elseif verdict == 'known' and unfinished_ver(device, 'cuts:grants:' .. peer, hash) then
  -- The first answer may have got lost before the cuts were made: they are made again, and the outbox has them already.
  why, ver = kind, unfinished_ver(device, 'cuts:grants:' .. peer, hash)
  sessions = indexed_sessions(session_index)
end
local about = row_in(peers, peer)
return {verdict, ver, why, sessions, about and about[PEER.kind] == 'trust' and 1 or 0, held and 0 or 1, 0}
