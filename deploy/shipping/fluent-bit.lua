-- Topic and key of an event: the key is tenant/subject; the worker moves what came under an alias.
function route(tag, timestamp, record)
  local said = type(record.data) == "table" and record.data or {}
  local tenant = said.tenant
  if type(tenant) ~= "string" or tenant == "" then
    tenant = "default"
  end
  if type(record.subject) == "string" and record.subject ~= "" then
    record.stepwatch_key = tenant .. "/" .. record.subject
  end
  if record.type == "stepwatch.action.performed" then
    record.stepwatch_topic = "stepwatch.actions"
  else
    record.stepwatch_topic = "stepwatch.authentications"
  end
  -- 2: the record is changed, its time is not.
  return 2, timestamp, record
end
