#!lua
-- What every script starts with. `scripts.py` puts these lines between the first line of a script and the rest of it,
-- behind the constants and row layouts that the script uses: bounds from `keys.py`, layouts from `rows.py`.
-- KEYS and ARGV are those of the script. ARGV of a timed script begins with its not_after (Unix ms). Blank lines
-- separate the functions, and a script gets those that it uses.

local function clock_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function refuse(word)
  return redis.error_reply('MUSTER ' .. word)
end

-- For timed scripts only. The clock is read once, so that one call has one time; the caller of a late call has stopped
-- waiting for it.
local now_ms = clock_ms()
if now_ms > tonumber(ARGV[1]) then
  return refuse('late')
end

-- Lua writes large numbers with an exponent, which no command takes.
local function text(number)
  return string.format('%.0f', number)
end

-- Lua compares strings by the locale of the store. Hashes are compared by their bytes.
local function above(one, other)
  for i = 1, #one do
    local difference = one:byte(i) - (other:byte(i) or -1)
    if difference ~= 0 then
      return difference > 0
    end
  end
  return false
end

-- Packs a new row from named cells, every cell of its layout.
local function pack_row(layout, cells)
  local row = {}
  for name, index in pairs(layout) do
    row[index] = cells[name]
  end
  return cmsgpack.pack(row)
end

-- Returns the row in a field of a hash, nil when there is none. A row is changed in place and packed again, so that
-- cells that a newer node appended stay.
local function row_in(key, field)
  local packed = redis.call('HGET', key, field)
  return packed and cmsgpack.unpack(packed) or nil
end

local function add_entry(outbox, kind, data)
  redis.call('XADD', outbox, '*', 'kind', kind, 'data', data)
end

-- Returns an encoded audit record of a statement or a device; `reason` and `statement` may be ''.
local function device_record(kind, client, peer, outcome, reason, statement)
  return pack_row(RECORD, {kind = kind, actor = client, subject = peer, session = '', outcome = outcome,
    reason = reason, statement = statement})
end

-- Of two statements about the same thing the higher serial counts, then the higher hash. Returns the verdict on the new
-- one (taken, known, older, or mismatch for other bytes under one serial), and whether it takes the place of the other.
local function compare(serial, hash, held_serial, held_hash)
  if serial > held_serial then
    return 'taken', true
  elseif serial < held_serial then
    return 'older', false
  elseif hash == held_hash then
    return 'known', false
  end
  return 'mismatch', above(hash, held_hash)
end

-- Gives what the hub holds of a device's statements a new number, which no state before had, also not in a store that
-- was restored since.
local function note_change(device)
  local changes = tonumber(redis.call('HGET', device, 'changes') or 0)
  redis.call('HSET', device, 'changes', text(math.max(changes + 1, now_ms)))
end

-- Raises the newest serial that the hub knows of a device.
local function raise_serial(device, serial)
  local known = tonumber(redis.call('HGET', device, 'serial') or 0)
  if serial <= now_ms + DAY_MS then
    redis.call('HSET', device, 'serial', text(math.max(serial, known)))
  end
end

-- Keeps a card that is newer than the one that is held, and returns its bytes; 0 where it is not kept.
local function keep_card(device, card, card_serial, card_hash)
  local held_serial, held_hash = unpack(redis.call('HMGET', device, 'card_serial', 'card_hash'))
  local shown, held = tonumber(card_serial), tonumber(held_serial or 0)
  local newer = shown > held or (shown == held and above(card_hash, held_hash or ''))
  if not newer or shown > now_ms + DAY_MS then
    return 0
  end
  redis.call('HSET', device, 'card', card, 'card_serial', card_serial, 'card_hash', card_hash)
  -- A copy of the device's data may have made it: the device finds out by these numbers.
  raise_serial(device, shown)
  note_change(device)
  return #card
end

-- Records that the token with this counter is on the agent's disk, and when the hub learnt it.
local function raise_confirmed(device, confirmed, counter)
  if counter > confirmed then
    redis.call('HSET', device, 'confirmed', text(counter), 'confirmed_ms', text(now_ms))
  end
end

-- Keeps all that a device stated, together: DEVICE_KEPT_MS from now, and a day where it has no statement about a peer and
-- its key was never rotated. A chain that expired would let a retired key in.
local function keep_device(device, instances, peers, grants, uses, stated)
  local FINGERPRINT_BYTES = 32
  local rotated = redis.call('HSTRLEN', device, 'chain') > FINGERPRINT_BYTES
  local kept_ms = (rotated or redis.call('HLEN', peers) > 0) and DEVICE_KEPT_MS or DAY_MS
  for _, key in ipairs({device, instances, peers, grants, uses, stated}) do
    redis.call('PEXPIRE', key, kept_ms)
  end
end

-- Returns the sessions in entries of a session index, each of which names a session and its creator.
local function session_names(entries)
  local names = {}
  for i, entry in ipairs(entries) do
    names[i] = entry:match('^%S+')
  end
  return names
end

-- Returns the sessions that a device was held for and that have not ended.
local function indexed_sessions(session_index)
  redis.call('ZREMRANGEBYSCORE', session_index, '-inf', text(now_ms))
  return session_names(redis.call('ZRANGE', session_index, 0, -1))
end

local function add_cuts(outbox, client, sessions, ver, why, about)
  for _, session in ipairs(sessions) do
    add_entry(outbox, 'cut', pack_row(CUT, {device = client, session = session, ver = ver, why = why, about = about}))
  end
end

-- Keeps, until the script `cuts_made`, that the cuts of a statement are unfinished. `field` is of the device.
local function begin_cuts(device, field, hash, ver)
  redis.call('HSET', device, field, pack_row(UNFINISHED_CUTS, {hash = hash, ver = ver}))
end

-- Returns the ver of a statement's cuts while they are unfinished, else nil.
local function unfinished_ver(device, field, hash)
  local cuts = row_in(device, field)
  return cuts and cuts[UNFINISHED_CUTS.hash] == hash and cuts[UNFINISHED_CUTS.ver] or nil
end

-- Returns the nodes that are told of a device's presence.
local function watching_nodes(watchers)
  local watching, rows = {}, redis.call('HGETALL', watchers)
  for i = 1, #rows, 2 do
    if tonumber(rows[i + 1]) > now_ms then
      watching[#watching + 1] = rows[i]
    end
  end
  return watching
end

-- Returns the fields of a session, in the order in which `sessions/state.py` reads them.
local function session_fields(session)
  return redis.call('HMGET', session, 'creator', 'seed', 'mode', 'profile', 'kind', 'open', 'created', 'ends', 'epoch',
    'epoch_hash')
end

-- Returns the member of `due` for a seat.
local function due_seat(session, client, invite)
  return pack_row(DUE, {session = session, client = client, invite = invite})
end

-- Ends an invite for good; `hash` is that of the answer that refused it, or ''.
local function end_invite(invite_outcomes, client, invite, outcome, hash)
  redis.call('HDEL', invite_outcomes, 'live:' .. client)
  redis.call('HSET', invite_outcomes, invite,
    pack_row(ENDED_INVITE, {client = client, outcome = outcome, refusal_hash = hash}))
end

-- Returns the row of an invite of this client that has ended, nil for another client's and for one that has not.
local function ended_invite(invite_outcomes, client, invite)
  local row = row_in(invite_outcomes, invite)
  return row and row[ENDED_INVITE.client] == client and row or nil
end

-- Returns how an invite of this client ended, nil for another client's and for one that has not.
local function outcome_of(invite_outcomes, client, invite)
  local row = ended_invite(invite_outcomes, client, invite)
  return row and row[ENDED_INVITE.outcome]
end

-- Returns how many invites of a session have ended, by the device that they were for, and the set of those that live.
local function count_invites(invite_outcomes)
  local ended, live, rows = {}, {}, redis.call('HGETALL', invite_outcomes)
  for i = 1, #rows, 2 do
    local row = cmsgpack.unpack(rows[i + 1])
    if rows[i]:match('^live:') then
      live[row[LIVE_INVITE.invite]] = true
    else
      ended[row[ENDED_INVITE.client]] = (ended[row[ENDED_INVITE.client]] or 0) + 1
    end
  end
  return ended, live
end

-- Returns the numbers of a session's epochs that are higher than this one, lowest first. They may have gaps.
local function numbers_after(epochs, after)
  local found = {}
  for _, field in ipairs(redis.call('HKEYS', epochs)) do
    local number = tonumber(field)
    if number and number > after then
      found[#found + 1] = number
    end
  end
  table.sort(found)
  return found
end

-- Takes a member out of a session; `row` is its row in the roster, `epoch` the number of the newest epoch that has it.
-- What was sealed for it is deleted.
local function take_member_out(roster, sealed, due, session, client, row, reason, epoch)
  redis.call('ZREM', due, due_seat(session, client, row[MEMBER.invite]))
  row[MEMBER.state], row[MEMBER.since_ms], row[MEMBER.reason] = 'out', now_ms, reason
  row[MEMBER.last_epoch] = tonumber(epoch)
  redis.call('HSET', roster, client, cmsgpack.pack(row))
  redis.call('HDEL', sealed, 'key:' .. client, 'adm:' .. client, 'admh:' .. client, 'joined:' .. client,
    'jn:' .. client)
end

-- Keeps a key for a day after the hard end of its session.
local function keep_until(key, ends_ms)
  redis.call('PEXPIREAT', key, text(ends_ms + DAY_MS))
end
