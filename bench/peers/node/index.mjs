// The same callback with Powertools for AWS Lambda: makeIdempotent and SDK v3.

import { IdempotencyConfig, makeIdempotent } from "@aws-lambda-powertools/idempotency";
import { DynamoDBPersistenceLayer } from "@aws-lambda-powertools/idempotency/dynamodb";
import { Logger } from "@aws-lambda-powertools/logger";
import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { DynamoDBDocumentClient, UpdateCommand } from "@aws-sdk/lib-dynamodb";

const logger = new Logger({ serviceName: "room-login" });
const documents = DynamoDBDocumentClient.from(new DynamoDBClient({}));
const persistenceStore = new DynamoDBPersistenceLayer({ tableName: process.env.IDEMPOTENCY_TABLE });
const config = new IdempotencyConfig({
  eventKeyJmesPath: "powertools_json(body).[event, session_id, user_update_seq]",
});

export const handler = makeIdempotent(
  async (event) => {
    const login = JSON.parse(event.body);
    await documents.send(
      new UpdateCommand({
        TableName: process.env.TABLE,
        Key: { pk: `user#${login.user_account}`, sk: `session#${login.session_id}` },
        UpdateExpression: "SET room_id = :room, user_nickname = :name, login_time = :at",
        ExpressionAttributeValues: {
          ":room": login.room_id,
          ":name": login.user_nickname,
          ":at": Number(login.login_time),
        },
      }),
    );
    logger.info("callback", { user: login.user_account, room: login.room_id });
    return { statusCode: 200, headers: { "content-type": "application/json" }, body: '{"code":0}' };
  },
  { persistenceStore, config },
);
