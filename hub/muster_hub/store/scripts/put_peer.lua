#!lua
-- Takes a trust or an untrust. An untrust is taken also when memory is full: its caller runs this text with allow-oom.
-- KEYS: 1 device, 2 instances, 3 peers, 4 grants, 5 uses, 6 noted, 7 outbox
-- ARGV: 1 client, 2 not_after (ms), 3 connection number, 4 peer, 5 kind, 6 serial, 7 hash, 8 pinned fingerprint or "",
--   9 row for peers, 10 row for grants (an untrust ends the grant as well) or "", 11 card, 12 its serial, 13 its hash
-- Effect: of two statements about a peer the higher serial counts, then the higher hash. What restricts raises `ver` and
--   leaves a cut in the outbox for every session noted. What is taken is recorded. The
--   first statement makes the device be kept, and its card.
-- Returns: {verdict, ver, why of the cut or "", {noted session, ...}, 1 if it trusted or trusts the peer else 0}; the
--   verdict is "taken", "known", "older", "mismatch", "superseded" or "too_many".
-- Again: "known", with what is to be cut once more.
local MAX_PEERS = 1024
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
if now_ms > tonumber(ARGV[2]) then
  return redis.error_reply('MUSTER late')
end

local device, peers, grants = KEYS[1], KEYS[3], KEYS[4]
local client, peer, kind, serial, hash = ARGV[1], ARGV[4], ARGV[5], tonumber(ARGV[6]), ARGV[7]
if redis.call('HEXISTS', KEYS[2], ARGV[3]) == 0 then
  return {'superseded', 0, '', {}, 0}
end

-- The store compares strings by its locale; hashes are compared by their bytes.
local function above(one, other)
  for i = 1, #one do
    local difference = one:byte(i) - (other:byte(i) or -1)
    if difference ~= 0 then
      return difference > 0
    end
  end
  return false
end

local function verdict_on(held)
  if not held or serial > held[2] then
    return 'taken', true
  elseif serial < held[2] then
    return 'older', false
  elseif hash == held[3] then
    return 'known', false
  end
  return 'mismatch', above(hash, held[3])
end

local packed = redis.call('HGET', peers, peer)
local held = packed and cmsgpack.unpack(packed)
if not held and redis.call('HLEN', peers) >= MAX_PEERS then
  return {'too_many', 0, '', {}, 0}
end
local trusted = held and held[1] == 'trust'
local verdict, wins = verdict_on(held)
local why = ''
if wins then
  redis.call('XADD', KEYS[7], '*', 'kind', 'record', 'data',
    cmsgpack.pack({ARGV[5], client, peer, '', 'done', '', hash}))
  if trusted and (kind == 'untrust' or held[4] ~= ARGV[8]) then
    why = kind == 'untrust' and 'untrust' or 'trust'
  end
  redis.call('HSET', peers, peer, ARGV[9])
  redis.call('HSET', device, 'serial',
    string.format('%.0f', math.max(serial, tonumber(redis.call('HGET', device, 'serial') or 0))))
  for _, key in ipairs({device, KEYS[2], grants}) do
    redis.call('PERSIST', key)
  end
  local card = redis.call('HMGET', device, 'card_serial', 'card_hash')
  local card_serial = tonumber(card[1] or 0)
  if tonumber(ARGV[12]) > card_serial or (tonumber(ARGV[12]) == card_serial and above(ARGV[13], card[2] or '')) then
    redis.call('HSET', device, 'card', ARGV[11], 'card_serial', ARGV[12], 'card_hash', ARGV[13])
  end
end

-- An untrust ends an older grant even where a newer trust stands: whatever the order in which the two came.
if kind == 'untrust' then
  local row = redis.call('HGET', grants, peer)
  local grant = row and cmsgpack.unpack(row)
  local _, ends = verdict_on(grant)
  if ends then
    redis.call('HSET', grants, peer, ARGV[10])
    if grant and grant[1] == 'grant' then
      redis.call('HDEL', KEYS[5], grant[4])
      why = why ~= '' and why or 'grant'
    end
  end
end

-- A repeat may stand for a first answer that got lost before the cuts were made.
if verdict == 'known' then
  why = kind == 'untrust' and 'untrust' or 'grant'
end
local ver, sessions = tonumber(redis.call('HGET', device, 'ver') or 0), {}
if why ~= '' then
  ver = redis.call('HINCRBY', device, 'ver', 1)
  redis.call('ZREMRANGEBYSCORE', KEYS[6], '-inf', string.format('%.0f', now_ms))
  sessions = redis.call('ZRANGE', KEYS[6], 0, -1)
  for _, session in ipairs(sessions) do
    redis.call('XADD', KEYS[7], '*', 'kind', 'cut', 'data', cmsgpack.pack({client, session, ver, why, peer}))
  end
end
return {verdict, ver, why, sessions, (trusted or kind == 'trust') and 1 or 0}
