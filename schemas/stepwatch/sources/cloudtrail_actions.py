"""AWS API calls that matter, by the scheme of `actions.py`.

A name is the service (`eventSource` without `.amazonaws.com`) and the call (`eventName` without the version
that Lambda and CloudFront append). The last column names the resource, the first that says one: a path in
`requestParameters` (lists on the way are gone through), `>` a path in `responseElements`, `+` joins two
values with `/`, `@user` is the ARN of the user in `requestParameters.userName`, or else of the caller. A call
that is not here gets a derived name, `service.noun.verb` (`deed_of`).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from stepwatch.sources.actions import HIGH, LOW, MODERATE, Deed, camel_words, parse_table, plain_word

ACTIONS: Final[dict[str, Deed]] = parse_table("""
# Rights and identities
iam.AttachUserPolicy | iam.policy.attach | user | critical | @user
iam.AttachRolePolicy | iam.policy.attach | role | critical | roleName
iam.AttachGroupPolicy | iam.policy.attach | group | critical | groupName
iam.DetachUserPolicy | iam.policy.detach | user | high | @user
iam.DetachRolePolicy | iam.policy.detach | role | high | roleName
iam.DetachGroupPolicy | iam.policy.detach | group | high | groupName
iam.PutUserPolicy | iam.policy.put | user | critical | @user
iam.PutRolePolicy | iam.policy.put | role | critical | roleName
iam.PutGroupPolicy | iam.policy.put | group | critical | groupName
iam.CreatePolicyVersion iam.SetDefaultPolicyVersion | iam.policy.put | policy | critical | policyArn
iam.CreatePolicy | iam.policy.create | policy | high | policyName
iam.DeletePolicy iam.DeletePolicyVersion | iam.policy.delete | policy | high | policyArn
iam.DeleteUserPolicy | iam.policy.delete | user | high | @user
iam.DeleteRolePolicy | iam.policy.delete | role | high | roleName
iam.DeleteGroupPolicy | iam.policy.delete | group | high | groupName
iam.PutUserPermissionsBoundary | iam.boundary.put | user | high | @user
iam.PutRolePermissionsBoundary | iam.boundary.put | role | high | roleName
iam.DeleteUserPermissionsBoundary | iam.boundary.delete | user | critical | @user
iam.DeleteRolePermissionsBoundary | iam.boundary.delete | role | critical | roleName
iam.CreateRole | iam.role.create | role | high | roleName
iam.CreateServiceLinkedRole | iam.role.create | role | low | aWSServiceName
iam.DeleteRole | iam.role.delete | role | high | roleName
iam.UpdateAssumeRolePolicy | iam.role.trust_update | role | critical | roleName
iam.AddRoleToInstanceProfile | iam.role.pass | role | high | roleName
iam.CreateAccessKey | iam.access_key.create | user | high | @user
iam.UpdateAccessKey | iam.access_key.update | user | high | @user
iam.UploadSSHPublicKey | iam.ssh_key.create | user | high | @user
iam.DeleteAccessKey | iam.access_key.delete | user | moderate | @user
iam.CreateLoginProfile | iam.login_profile.create | user | critical | @user
iam.UpdateLoginProfile | idp.password.reset | user | critical | @user
iam.DeleteLoginProfile | iam.login_profile.delete | user | high | @user
iam.ChangePassword | idp.password.change | user | moderate | @user
iam.CreateUser | idp.user.create | user | high | @user
iam.DeleteUser | idp.user.delete | user | high | @user
iam.CreateGroup | idp.group.create | group | moderate | groupName
iam.DeleteGroup | idp.group.delete | group | high | groupName
iam.AddUserToGroup | idp.group.member_add | group | high | groupName
iam.RemoveUserFromGroup | idp.group.member_remove | group | moderate | groupName
iam.EnableMFADevice | idp.factor.enroll | user | high | @user
iam.DeactivateMFADevice | idp.factor.remove | user | high | @user
iam.ResyncMFADevice | idp.factor.update | user | high | @user
iam.CreateVirtualMFADevice | iam.mfa_device.create | mfa_device | moderate | >virtualMFADevice.serialNumber
iam.DeleteVirtualMFADevice | iam.mfa_device.delete | mfa_device | high | serialNumber
iam.UpdateAccountPasswordPolicy iam.DeleteAccountPasswordPolicy | idp.policy.update | policy | critical |
iam.CreateSAMLProvider | idp.federation.create | identity_provider | critical | >sAMLProviderArn name
iam.UpdateSAMLProvider | idp.federation.update | identity_provider | critical | sAMLProviderArn
iam.DeleteSAMLProvider | idp.federation.delete | identity_provider | critical | sAMLProviderArn
iam.CreateOpenIDConnectProvider | idp.federation.create | identity_provider | critical | url
iam.UpdateOpenIDConnectProviderThumbprint | idp.federation.update | identity_provider | critical |
    openIDConnectProviderArn
iam.AddClientIDToOpenIDConnectProvider | idp.federation.update | identity_provider | critical |
    openIDConnectProviderArn
iam.DeleteOpenIDConnectProvider | idp.federation.delete | identity_provider | critical |
    openIDConnectProviderArn
sts.AssumeRole | iam.role.assume | role | moderate | roleArn targetPrincipal
sts.AssumeRoleWithSAML | iam.role.assume | role | moderate | roleArn targetPrincipal
sts.AssumeRoleWithWebIdentity | iam.role.assume | role | moderate | roleArn targetPrincipal
sts.AssumeRoot | iam.role.assume | role | moderate | roleArn targetPrincipal
sts.GetSessionToken | iam.session.create | user | low | @user
sts.GetFederationToken | iam.session.federate | user | high | name
sts.GetCallerIdentity | iam.caller.read | - | low |
signin.SwitchRole | iam.role.switch | - | moderate |
signin.GetSigninToken | iam.session.signin_token | - | low |
signin.PasswordUpdated | idp.password.change | user | critical | @user
signin.PasswordRecoveryCompleted | idp.password.reset | user | critical | @user
signin.EmailUpdated | idp.user.email_change | user | critical | @user
sso.UpdateSsoConfiguration | idp.policy.update | policy | critical | instanceArn
sso.CreateAccountAssignment | idp.role.grant | user | critical | principalId
sso.DeleteAccountAssignment | idp.role.revoke | user | high | principalId
sso.AttachManagedPolicyToPermissionSet | iam.policy.attach | permission_set | critical | permissionSetArn
sso-directory.CreateUser | idp.user.create | user | high | >user.userId userName
identitystore.CreateUser | idp.user.create | user | high | >userId userName
sso-directory.DeleteUser identitystore.DeleteUser | idp.user.delete | user | high | userId
sso-directory.AddMemberToGroup | idp.group.member_add | group | high | groupId
identitystore.CreateGroupMembership | idp.group.member_add | group | high | groupId
sso-directory.RemoveMemberFromGroup | idp.group.member_remove | group | moderate | groupId
identitystore.DeleteGroupMembership | idp.group.member_remove | group | moderate | groupId
sso-directory.CompleteVirtualMfaDeviceRegistration | idp.factor.enroll | user | high | userId
sso-directory.CompleteWebAuthnDeviceRegistration | idp.factor.enroll | user | high | userId
sso-directory.DeleteMfaDeviceForUser | idp.factor.remove | user | high | userId
cognito-idp.AdminSetUserPassword | idp.password.reset | user | high | username

# The logs that would show it
cloudtrail.StopLogging | audit.log.stop | trail | critical | name
cloudtrail.StartLogging | audit.log.start | trail | moderate | name
cloudtrail.CreateTrail | audit.log.create | trail | moderate | name
cloudtrail.DeleteTrail | audit.log.delete | trail | critical | name
cloudtrail.UpdateTrail | audit.log.update | trail | critical | name
cloudtrail.PutEventSelectors cloudtrail.PutInsightSelectors | audit.log.update | trail | critical | trailName
cloudtrail.DeleteEventDataStore | audit.log.delete | event_data_store | critical | eventDataStore
cloudtrail.StopEventDataStoreIngestion | audit.log.stop | event_data_store | critical | eventDataStore
config.StopConfigurationRecorder | audit.log.stop | recorder | critical | configurationRecorderName
config.DeleteConfigurationRecorder | audit.log.delete | recorder | critical | configurationRecorderName
config.DeleteDeliveryChannel | audit.log.delete | delivery_channel | critical | deliveryChannelName
config.PutDeliveryChannel | audit.log.update | delivery_channel | high | deliveryChannel.name
ec2.DeleteFlowLogs | audit.log.delete | flow_log | critical |
    DeleteFlowLogsRequest.FlowLogId.content
    flowLogId
logs.DeleteLogGroup | audit.log.delete | log_group | high | logGroupName
logs.DeleteLogStream | audit.log.delete | log_stream | high | logStreamName
logs.PutRetentionPolicy | audit.log.update | log_group | high | logGroupName
route53resolver.DeleteResolverQueryLogConfig | audit.log.delete | query_log | high | resolverQueryLogConfigId
bedrock.DeleteModelInvocationLoggingConfiguration | audit.log.delete | model_log | high |
s3.PutBucketLogging | audit.log.update | bucket | high | bucketName
guardduty.DeleteDetector | audit.detector.delete | detector | critical | detectorId
guardduty.UpdateDetector | audit.detector.update | detector | critical | detectorId
guardduty.CreateIPSet | audit.detector.update | detector | high | detectorId
guardduty.UpdateIPSet | audit.detector.update | detector | high | detectorId
guardduty.DeleteIPSet | audit.detector.update | detector | high | detectorId
guardduty.DeletePublishingDestination | audit.detector.update | detector | high | detectorId
securityhub.DisableSecurityHub | audit.detector.delete | security_hub | critical |
securityhub.UpdateFindings securityhub.BatchUpdateFindings | audit.finding.update | finding | high |

# Keys and secrets
secretsmanager.GetSecretValue | secrets.secret.read | secret | high | secretId
secretsmanager.BatchGetSecretValue | secrets.secret.read | secret | high | secretIdList
secretsmanager.PutSecretValue secretsmanager.UpdateSecret | secrets.secret.update | secret | high | secretId
secretsmanager.DeleteSecret | secrets.secret.delete | secret | high | secretId
secretsmanager.PutResourcePolicy | secrets.secret.share | secret | critical | secretId
ssm.GetParameter | secrets.parameter.read | parameter | moderate | name names path
ssm.GetParameters | secrets.parameter.read | parameter | moderate | name names path
ssm.GetParametersByPath | secrets.parameter.read | parameter | moderate | name names path
kms.PutKeyPolicy | kms.key.share | kms_key | critical | keyId
kms.CreateGrant | kms.key.share | kms_key | high | keyId
kms.ScheduleKeyDeletion | kms.key.delete | kms_key | critical | keyId
kms.DisableKey | kms.key.disable | kms_key | critical | keyId
kms.ImportKeyMaterial | kms.key.import_material | kms_key | critical | keyId
kms.DeleteImportedKeyMaterial | kms.key.delete_material | kms_key | critical | keyId
kms.Decrypt | kms.data.decrypt | kms_key | moderate | keyId
acm.ExportCertificate | kms.key.export | certificate | critical | certificateArn
appsync.CreateApiKey | iam.api_key.create | api | high | apiId
ec2.GetPasswordData | secrets.password.read | instance | high | instanceId
ec2.ImportKeyPair ec2.CreateKeyPair | iam.ssh_key.create | key_pair | high | keyName
ecr.GetAuthorizationToken | iam.registry_token.create | - | low |

# Resources
s3.PutBucketPolicy | storage.bucket_policy.update | bucket | critical | bucketName
s3.DeleteBucketPolicy | storage.bucket_policy.delete | bucket | high | bucketName
s3.PutBucketAcl s3.PutObjectAcl | storage.bucket_policy.update | bucket | critical | bucketName
s3.PutBucketPublicAccessBlock | storage.public_access.update | bucket | critical | bucketName
s3.PutAccountPublicAccessBlock | storage.public_access.update | bucket | critical | bucketName
s3.DeleteBucketPublicAccessBlock | storage.public_access.allow | bucket | critical | bucketName
s3.DeleteAccountPublicAccessBlock | storage.public_access.allow | bucket | critical | bucketName
s3.CreateBucket | storage.bucket.create | bucket | moderate | bucketName
s3.DeleteBucket | storage.bucket.delete | bucket | high | bucketName
s3.DeleteBucketEncryption | storage.bucket_encryption.delete | bucket | high | bucketName
s3.PutBucketVersioning | storage.bucket_versioning.update | bucket | high | bucketName
s3.PutBucketReplication | storage.bucket_replication.update | bucket | high | bucketName
s3.PutBucketLifecycle | storage.bucket_lifecycle.update | bucket | high | bucketName
s3.PutBucketLifecycleConfiguration | storage.bucket_lifecycle.update | bucket | high | bucketName
s3.GetObject | storage.object.read | object | low | bucketName+key
s3.PutObject | storage.object.write | object | low | bucketName+key
s3.CopyObject | storage.object.copy | object | moderate | bucketName+key
s3.DeleteObject s3.DeleteObjects | storage.object.delete | object | moderate | bucketName+key bucketName
ec2.AuthorizeSecurityGroupIngress | network.firewall.open | security_group | high | groupId groupName
ec2.AuthorizeSecurityGroupEgress | network.firewall.open | security_group | high | groupId groupName
rds.AuthorizeDBSecurityGroupIngress | network.firewall.open | security_group | high | dBSecurityGroupName
ec2.AttachInternetGateway | network.gateway.attach | internet_gateway | high | internetGatewayId
ec2.CreateTrafficMirrorSession ec2.ModifyTrafficMirrorSession | network.mirror.update | mirror | high |
    CreateTrafficMirrorSessionRequest.NetworkInterfaceId
    ModifyTrafficMirrorSessionRequest.TrafficMirrorSessionId
ec2.CreateSnapshot | storage.snapshot.create | volume | moderate | volumeId
ec2.CreateImage | compute.image.create | instance | moderate | instanceId
ec2.ModifySnapshotAttribute | storage.snapshot.share | snapshot | critical | snapshotId
rds.ModifyDBSnapshotAttribute | database.snapshot.share | snapshot | critical | dBSnapshotIdentifier
rds.ModifyDBClusterSnapshotAttribute | database.snapshot.share | snapshot | critical |
    dBClusterSnapshotIdentifier
rds.CreateDBSnapshot | database.snapshot.create | database | moderate | dBInstanceIdentifier
rds.CreateDBClusterSnapshot | database.snapshot.create | database | moderate | dBClusterIdentifier
rds.CopyDBSnapshot | database.snapshot.copy | snapshot | high | sourceDBSnapshotIdentifier
rds.CopyDBClusterSnapshot | database.snapshot.copy | snapshot | high | sourceDBClusterSnapshotIdentifier
rds.AddRoleToDBInstance | iam.role.pass | database | high | dBInstanceIdentifier
rds.AddRoleToDBCluster | iam.role.pass | database | high | dBClusterIdentifier
rds.RebootDBInstance | database.instance.restart | database | moderate | dBInstanceIdentifier
rds.RebootDBCluster | database.instance.restart | database | moderate | dBClusterIdentifier
rds.StartExportTask | database.snapshot.export | snapshot | critical | sourceArn
rds.DeleteDBInstance | database.instance.delete | database | high | dBInstanceIdentifier
rds.DeleteDBCluster | database.instance.delete | database | high | dBClusterIdentifier
rds.DeleteDBSnapshot | database.snapshot.delete | snapshot | high | dBSnapshotIdentifier
rds.DeleteDBClusterSnapshot | database.snapshot.delete | snapshot | high | dBClusterSnapshotIdentifier
ec2.ModifyImageAttribute | compute.image.share | image | critical | imageId
ec2.RunInstances | compute.instance.create | instance | moderate | >instancesSet.items.instanceId
ec2.StartInstances | compute.instance.start | instance | moderate | instancesSet.items.instanceId
ec2.StopInstances | compute.instance.stop | instance | moderate | instancesSet.items.instanceId
ec2.TerminateInstances | compute.instance.delete | instance | high | instancesSet.items.instanceId
ec2.ModifyInstanceAttribute | compute.instance.update | instance | high | instanceId
ec2.DescribeInstanceAttribute | compute.instance.read_attribute | instance | moderate | instanceId
ec2.ReplaceIamInstanceProfileAssociation | iam.role.pass | instance_profile | critical |
    ReplaceIamInstanceProfileAssociationRequest.IamInstanceProfile.Arn
    ReplaceIamInstanceProfileAssociationRequest.IamInstanceProfile.Name
ec2.AssociateIamInstanceProfile | iam.role.pass | instance | critical |
    AssociateIamInstanceProfileRequest.InstanceId
ec2.EnableSerialConsoleAccess | compute.serial_console.enable | - | critical |
ec2-instance-connect.SendSSHPublicKey | compute.instance.login | instance | high | instanceId
ec2-instance-connect.SendSerialConsoleSSHPublicKey | compute.instance.login | instance | high | instanceId
ssm.StartSession ssm.ResumeSession | compute.instance.login | instance | high | target sessionId
ssm.SendCommand | compute.instance.run_command | instance | high | instanceIds
lambda.UpdateFunctionCode | compute.function.update_code | function | high | functionName
lambda.UpdateFunctionConfiguration | compute.function.update | function | high | functionName
lambda.AddPermission | compute.function.share | function | high | functionName
ecr.SetRepositoryPolicy | storage.repository.share | repository | critical | repositoryName
sqs.SetQueueAttributes | storage.queue.update | queue | high | queueUrl
organizations.LeaveOrganization | iam.organization.leave | - | critical |
organizations.AttachPolicy | iam.policy.attach | account | critical | targetId
organizations.DetachPolicy | iam.policy.detach | account | critical | targetId rootId
organizations.DisablePolicyType | iam.policy.detach | account | critical | targetId rootId
wafv2.DisassociateWebACL | network.waf.detach | web_acl | critical | resourceArn
wafv2.DeleteWebACL wafv2.DeleteRuleGroup | network.waf.delete | web_acl | critical | name id
""")

_READS: Final = frozenset(
    ("get", "list", "describe", "lookup", "search", "head", "query", "scan", "select", "check", "simulate")
)
_GUARDED: Final = frozenset(
    {
        *("iam", "sts", "signin", "sso", "sso-directory", "identitystore", "organizations", "account"),
        *("cloudtrail", "config", "guardduty", "securityhub", "access-analyzer"),
        *("kms", "secretsmanager", "acm-pca", "cognito-idp"),
    }
)
"""Services whose every write touches who may do what, or the log that would show it."""


@lru_cache(maxsize=4096)
def deed_of(service: str, call: str, read_only: bool | None) -> Deed | None:
    """What a call is: from the table, or derived; None where nothing is left of its name.

    Args:
        service: `eventSource` without `.amazonaws.com`.
        call: `eventName` without a version.
        read_only: `readOnly`; None where the row does not say: then the verb decides.

    Returns:
        For a call that the table does not have, sensitivity low for reads, high for writes of the services
        that hold rights, keys and logs, moderate for all other writes.
    """
    if (known := ACTIONS.get(f"{service}.{call}")) is not None:
        return known
    area, words = plain_word(service), camel_words(call)
    if not area or not words:
        return None
    verb, noun = (words[1], words[2:]) if words[0] == "batch" and len(words) > 1 else (words[0], words[1:])
    reads = verb in _READS if read_only is None else read_only
    sensitivity = LOW if reads else HIGH if service in _GUARDED else MODERATE
    thing = "_".join(noun)
    action = ".".join(word for word in (area, thing, verb) if word)
    return Deed(action, thing, sensitivity, _candidates(call, verb))


def _candidates(call: str, verb: str) -> tuple[str, ...]:
    """Parameters that usually name the thing: `trafficMirrorTargetId`, `dBInstanceIdentifier`, `name`, ..."""
    noun = call[call.lower().find(verb) + len(verb) :]
    stem = noun[:1].lower() + noun[1:]
    own = tuple(stem + suffix for suffix in ("Id", "Name", "Arn", "Identifier")) if stem else ()
    return (*own, "resourceArn", "arn", "name", "id")
