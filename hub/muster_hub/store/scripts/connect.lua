#!lua
-- Enters a connection that proved itself, and judges the device's chain of keys and its continuity token.
-- KEYS: 1 device, 2 instances, 3 peers, 4 noted, 5 watchers, 6 outbox, 7 grants
-- ARGV: 1 client, 2 not_after (ms), 3 fingerprints of all its keys, genesis first, in one string, 4 role, 5 its row in
--   instances, 6 instance id, 7 compat row, 8 card (encoded Signed), 9 card's serial, 10 card's hash, 11 counter of a
--   genuine continuity token (0: none was shown), 12... numbers of connections whose node is lost
-- Effect: a new connection number, larger than any before; an agent takes the seat; the same process's row, and a lost
--   node's, make place. A longer chain is a rotation, and a token older than the last confirmed a suspected clone: both
--   raise `ver` and leave a cut in the outbox for every session noted. An agent gets the next token's counter.
-- Returns: {"connected", number, issued (0: no token), standing, newest serial, {superseded number, row, ...},
--   {noted session, ...}, {watching node, ...}, {why of a cut, its ver, ...}}, or {"retired"}, {"forked"}, {"revoked"},
--   {"full", {number, row, ...}}.
-- Again: a repeat is the same process connecting once more: it takes its own row's place under a larger number.
local DAY_MS, MAX_CLI, RECUT_MS = 86400000, 8, 60000
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
if now_ms > tonumber(ARGV[2]) then
  return redis.error_reply('MUSTER late')
end

local device, instances, outbox = KEYS[1], KEYS[2], KEYS[6]
local client, shown, role = ARGV[1], ARGV[3], ARGV[4]

local function text(number)
  return string.format('%.0f', number)
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

local function record(what, outcome, reason)
  redis.call('XADD', outbox, '*', 'kind', 'record', 'data',
    cmsgpack.pack({what, client, '', '', outcome, reason, ARGV[10]}))
end

local held = redis.call('HMGET', device, 'chain', 'ver', 'standing', 'conn', 'confirmed', 'issued', 'serial',
  'card_serial', 'card_hash', 'rotated_ms')
local chain, ver, standing = held[1] or '', tonumber(held[2] or 0), held[3] or ''

-- The chain: the same keys, more of them, fewer, or others.
local rotated = false
if chain ~= '' and chain ~= shown then
  if shown:sub(1, #chain) == chain then
    rotated = true
  elseif chain:sub(1, #shown) == shown then
    return {'retired'}
  else
    record('key_forked', 'refused', 'key_mismatch')
    return {'forked'}
  end
end
if standing == 'device_revoked' then
  return {'revoked'}
end

-- The place: an agent takes the one seat, a command line needs one of eight.
for i = 12, #ARGV do
  redis.call('HDEL', instances, ARGV[i])
end
local superseded, clis = {}, 0
local rows = redis.call('HGETALL', instances)
for i = 1, #rows, 2 do
  local row = cmsgpack.unpack(rows[i + 1])
  if row[1] == ARGV[6] or (role == 'agent' and row[2] == 'agent') then
    superseded[#superseded + 1] = rows[i]
    superseded[#superseded + 1] = rows[i + 1]
  elseif row[2] == 'cli' then
    clis = clis + 1
  end
end
if role == 'cli' and clis >= MAX_CLI then
  return {'full', rows}
end
for i = 1, #superseded, 2 do
  redis.call('HDEL', instances, superseded[i])
end
local number = math.max(tonumber(held[4] or 0) + 1, now_ms)
redis.call('HSET', instances, text(number), ARGV[5])
redis.call('HSET', device, 'conn', text(number), 'fp', shown:sub(-32), 'chain', shown, 'compat', ARGV[7])

-- What restricts: a rotation, and a suspected clone. A rotation is cut again for a minute, lest its acknowledgement was
-- the only thing that got lost.
local cuts = {}
local function restrict(why)
  ver = ver + 1
  cuts[#cuts + 1] = why
  cuts[#cuts + 1] = ver
end
if rotated then
  redis.call('HSET', device, 'rotated_ms', text(now_ms))
  record('key_rotated', 'done', '')
end
if rotated or now_ms - tonumber(held[10] or 0) < RECUT_MS then
  restrict('rotation')
end

local issued = 0
if role == 'agent' then
  redis.call('HSET', device, 'seat', text(number))
  local presented, confirmed, last = tonumber(ARGV[11]), tonumber(held[5] or 0), tonumber(held[6] or 0)
  if presented < confirmed then
    if standing == '' then
      standing = 'clone_suspected'
      record('clone_suspected', 'done', 'clone_suspected')
    end
    restrict('clone_suspected')
  elseif presented > last and chain ~= '' then
    record('hub_restored', 'done', 'hub_restored')
  end
  issued = math.max(last, presented) + 1
  redis.call('HSET', device, 'issued', text(issued), 'confirmed', text(math.max(confirmed, presented)))
end
redis.call('HSET', device, 'ver', text(ver), 'standing', standing)

local sessions = {}
if #cuts > 0 then
  redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', text(now_ms))
  sessions = redis.call('ZRANGE', KEYS[4], 0, -1)
  for i = 1, #cuts, 2 do
    local about = cuts[i] == 'rotation' and shown:sub(-32) or ''
    for _, session in ipairs(sessions) do
      redis.call('XADD', outbox, '*', 'kind', 'cut', 'data', cmsgpack.pack({client, session, cuts[i + 1], cuts[i], about}))
    end
  end
end

-- Who trusts nobody is kept for a day, and its card not at all.
if redis.call('HLEN', KEYS[3]) > 0 then
  local held_serial, serial = tonumber(held[8] or 0), tonumber(ARGV[9])
  if serial > held_serial or (serial == held_serial and above(ARGV[10], held[9] or '')) then
    redis.call('HSET', device, 'card', ARGV[8], 'card_serial', ARGV[9], 'card_hash', ARGV[10])
  end
  for _, key in ipairs({device, instances, KEYS[7]}) do
    redis.call('PERSIST', key)
  end
else
  for _, key in ipairs({device, instances, KEYS[7]}) do
    redis.call('PEXPIRE', key, DAY_MS)
  end
end

local watching, watchers = {}, redis.call('HGETALL', KEYS[5])
for i = 1, #watchers, 2 do
  if tonumber(watchers[i + 1]) > now_ms then
    watching[#watching + 1] = watchers[i]
  end
end
return {'connected', number, issued, standing, tonumber(held[7] or 0), superseded, sessions, watching, cuts}
