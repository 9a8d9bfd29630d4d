#!lua
-- Takes a grant or a revocation. A revocation is taken also when memory is full: its caller runs this with allow-oom.
-- KEYS: 1 device, 2 instances, 3 peers, 4 grants, 5 uses, 6 noted, 7 outbox
-- ARGV: 1 client, 2 not_after (ms), 3 connection number, 4 peer, 5 kind, 6 serial, 7 hash, 8 row for grants, 9 grant id
-- Effect: of all that is said about automatic joins with a peer the highest serial counts, then the higher hash. What
--   takes a grant's place raises `ver`, ends the uses of the other, and leaves a cut for every session noted. What is
--   taken is recorded.
-- Returns: {verdict, ver, why of the cut or "", {noted session, ...}, 1 if it trusts the peer else 0}; the verdict is
--   "taken", "known", "older", "mismatch", "superseded" or "too_many".
-- Again: "known", with what is to be cut once more.
local DAY_MS, MAX_PEERS = 86400000, 1024
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
if now_ms > tonumber(ARGV[2]) then
  return redis.error_reply('MUSTER late')
end

local device, grants = KEYS[1], KEYS[4]
local client, peer, serial, hash = ARGV[1], ARGV[4], tonumber(ARGV[6]), ARGV[7]
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

local packed = redis.call('HGET', grants, peer)
local held = packed and cmsgpack.unpack(packed)
if not held and redis.call('HLEN', grants) >= MAX_PEERS then
  return {'too_many', 0, '', {}, 0}
end
local verdict, wins = 'taken', true
if held and serial <= held[2] then
  verdict, wins = 'older', false
  if serial == held[2] then
    verdict = hash == held[3] and 'known' or 'mismatch'
    wins = verdict == 'mismatch' and above(hash, held[3])
  end
end

local why = verdict == 'known' and ARGV[5] or ''
if wins then
  redis.call('XADD', KEYS[7], '*', 'kind', 'record', 'data',
    cmsgpack.pack({ARGV[5], client, peer, '', 'done', '', hash}))
  redis.call('HSET', grants, peer, ARGV[8])
  redis.call('HSET', device, 'serial',
    string.format('%.0f', math.max(serial, tonumber(redis.call('HGET', device, 'serial') or 0))))
  if held and held[1] == 'grant' then
    why = ARGV[5]
    if held[4] ~= ARGV[9] then
      redis.call('HDEL', KEYS[5], held[4])
    end
  end
  if redis.call('EXISTS', KEYS[3]) == 0 then
    redis.call('PEXPIRE', grants, DAY_MS)
  end
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
local about = redis.call('HGET', KEYS[3], peer)
return {verdict, ver, why, sessions, about and cmsgpack.unpack(about)[1] == 'trust' and 1 or 0}
