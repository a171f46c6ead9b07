"""Who am I, and what a role is."""

from world import refused


def test_the_caller_is_told_its_account(world):
    found = world.client("sts").get_caller_identity()
    assert found["Account"] == "000000000000", found
    assert found["Arn"].startswith("arn:aws:iam::000000000000:user/"), found


def test_a_role_can_be_made_and_found(world):
    iam, name = world.client("iam"), world.name("role")
    made = iam.create_role(RoleName=name, AssumeRolePolicyDocument='{"Version":"2012-10-17","Statement":[]}')["Role"]
    assert made["Arn"] == f"arn:aws:iam::000000000000:role/{name}", made
    assert made["AssumeRolePolicyDocument"] == {"Version": "2012-10-17", "Statement": []}, made
    assert iam.get_role(RoleName=name)["Role"]["RoleName"] == name
    iam.attach_role_policy(RoleName=name, PolicyArn="arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole")
    assert iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"] == []
    iam.delete_role(RoleName=name)


def test_what_iam_does_not_have_is_refused(world):
    with refused("InvalidAction"):
        world.client("iam").create_user(UserName="ada")


def test_a_service_that_is_not_there_is_refused(world):
    with refused("NotImplemented", 501):
        world.client("dynamodb").list_tables()
