#!lua flags=allow-oom
-- Carries a restriction of one device into one session that it was held for.
-- KEYS: 1 session, 2 roster, 3 minimum_versions, 4 sealed, 5 invite_outcomes, 6 due of the bucket, 7 outbox of the
--   bucket
-- ARGV: 1 not_after (ms), 2 session id, 3 client, 4 its ver after the restriction, 5 why: trust, untrust, grant,
--   revocation, rotation or clone_suspected, 6 the peer, or the device's new fingerprint after a rotation, or '',
--   7 packed [kind, statement] by which the device goes, or '', 8 the serial of that untrust, 9 record of a member taken
--   out, without its subject and reason
-- Effect: no join commits over an older ver of the device. After `untrust`: a statement of the creator takes the peer
--   out; a member's statement about the creator, or in a mesh about any member, takes that member out itself, unless it is
--   older than the answer for which the member was admitted: the creator would not take it, and could make no epoch
--   without the member. Nor does one in whose place the member has said `trust` again. A live
--   invite of the creator to the peer, or to the device that said it of the creator, ends, and neither is told. After
--   `rotation`: the device is out if it sits under another key. No other restriction takes a member out. A device that
--   goes by its own statement leaves it here: the creator is shown it.
-- Returns: [client, reason of each member out by this call], [client, row of every member in turn].
-- Again: the minimum version is the highest seen, and each ver takes members out and ends invites once, so that a cut
--   repeated from the outbox does not touch a member who was trusted, called and seated again since.
-- Memory full: runs, it restricts.
local session, roster, minimum_versions, sealed, invite_outcomes, due, outbox = unpack(KEYS)
local _, sid, client, ver_text, why, about, own_word, said_at, record_text = unpack(ARGV)
local ver = tonumber(ver_text)

local creator, kind, ends_ms, epoch = unpack(redis.call('HMGET', session, 'creator', 'kind', 'ends', 'epoch'))
if not creator then
  return {{}, {}}
end

local minimum = redis.call('HGET', minimum_versions, client)
if not minimum or tonumber(minimum) < ver then
  redis.call('HSET', minimum_versions, client, ver_text)
end
-- The vers whose cut was made here, newest last. What is older than a full list was made long ago.
local done = row_in(minimum_versions, 'done:' .. client) or {}
local again = #done >= MAX_CUTS_REMEMBERED and ver < done[1]
for _, made in ipairs(done) do
  again = again or made == ver
end
if not again then
  done[#done + 1] = ver
  table.sort(done)
  if #done > MAX_CUTS_REMEMBERED then
    table.remove(done, 1)
  end
  redis.call('HSET', minimum_versions, 'done:' .. client, cmsgpack.pack(done))
end
keep_until(minimum_versions, ends_ms)

local function member(name)
  local row = row_in(roster, name)
  return row and row[MEMBER.state] ~= 'out' and row
end
local function goes_by_its_word()
  local row = member(client)
  return row and own_word ~= '' and tonumber(said_at) >= row[MEMBER.answered_at]
end
local out = {}
local function take_out(name, reason)
  local row = member(name)
  if row then
    take_member_out(roster, sealed, due, sid, name, row, reason, epoch)
    if name == client and own_word ~= '' then
      redis.call('HSET', sealed, 'left:' .. name, own_word)
      keep_until(sealed, ends_ms)
    end
    local record = cmsgpack.unpack(record_text)
    record[RECORD.subject], record[RECORD.reason] = name, reason
    add_entry(outbox, 'record', cmsgpack.pack(record))
    out[#out + 1] = name
    out[#out + 1] = reason
  end
end

-- To one that is trusted no more, any later end of its invite would tell what became of the session.
local function end_call(name, reason)
  local live = row_in(invite_outcomes, 'live:' .. name)
  if live then
    end_invite(invite_outcomes, name, live[LIVE_INVITE.invite], reason, '')
  end
end

if not again and why == 'untrust' then
  if client == creator then
    take_out(about, 'not_trusted')
    end_call(about, 'not_trusted')
  elseif (about == creator or (kind == 'mesh' and member(about))) and goes_by_its_word() then
    take_out(client, 'not_trusted')
  end
  if about == creator then
    end_call(client, 'not_mutually_trusted')
  end
elseif not again and why == 'rotation' then
  local row = member(client)
  if row and row[MEMBER.fingerprint] ~= about then
    take_out(client, 'key_mismatch')
  end
end
return {out, redis.call('HGETALL', roster)}
