"""The same callback with Powertools for AWS Lambda: its idempotency decorator and boto3."""

import json
import os

import boto3
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent,
)

logger = Logger(service="room-login")
table = boto3.resource("dynamodb").Table(os.environ["TABLE"])
persistence = DynamoDBPersistenceLayer(table_name=os.environ["IDEMPOTENCY_TABLE"])
config = IdempotencyConfig(event_key_jmespath="powertools_json(body).[event, session_id, user_update_seq]")


@idempotent(persistence_store=persistence, config=config)
def handler(event, context):
    login = json.loads(event["body"])
    table.update_item(
        Key={"pk": f"user#{login['user_account']}", "sk": f"session#{login['session_id']}"},
        UpdateExpression="SET room_id = :room, user_nickname = :name, login_time = :at",
        ExpressionAttributeValues={
            ":room": login["room_id"],
            ":name": login["user_nickname"],
            ":at": int(login["login_time"]),
        },
    )
    logger.info("callback", extra={"user": login["user_account"], "room": login["room_id"]})
    return {"statusCode": 200, "headers": {"content-type": "application/json"}, "body": '{"code":0}'}
